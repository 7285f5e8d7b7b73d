import { Document, isMap, isScalar, Scalar, type YAMLMap } from 'yaml'
import type { StratumThreshold, ThresholdSet } from './thresholds.ts'

/** The keys of a policy that a calibration sets, as YAML to merge, each number with a comment on where it comes from. */
export function policyFragment(scorerHash: string, { by, base, strata }: ThresholdSet): string {
  const entries = (parts: readonly StratumThreshold[]): Record<string, { gainPpm: number }> =>
    Object.fromEntries(parts.map(({ name, gainPpm }) => [name, { gainPpm }]))
  const document = new Document({
    scorer: { use: 'trained', hash: scorerHash },
    threshold: {
      gainPpm: base.gainPpm,
      ...(by && { [by === 'kind' ? 'perKind' : 'perTenant']: entries(strata) }),
    },
  })
  document.commentBefore =
    ' Merge into the policy, then: shunt policy check policy.yaml\n A step escalates when its gain, P(frontier right) - P(OSS right), is at or above gainPpm.'
  commentKey(document.contents as YAMLMap, 'scorer', 'sha256 of scorer.bin')
  const threshold = document.get('threshold') as YAMLMap
  commentKey(threshold, 'gainPpm', base.origin)
  if (by) {
    const parts = threshold.get(by === 'kind' ? 'perKind' : 'perTenant') as YAMLMap
    for (const { name, origin } of strata) commentKey(parts, name!, origin)
  }
  return document.toString({ lineWidth: 0 })
}

/** A comment on the line before a key. A name from a label cannot end it: line breaks are spaces. */
function commentKey(map: YAMLMap, name: string, comment: string): void {
  const pair = map.items.find(({ key }) => (isScalar(key) ? key.value : key) === name)
  if (!pair) return
  const key = isScalar(pair.key) ? pair.key : new Scalar(pair.key)
  key.commentBefore = ` ${comment.replaceAll(/\s+/g, ' ')}`
  pair.key = key
  // Without this the comment of the first key would stand before the map's own key.
  if (isMap(pair.value)) pair.value.flow = false
}
