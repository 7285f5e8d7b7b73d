import { Document, isMap, isScalar, Scalar, type YAMLMap } from 'yaml'
import type { ConfidenceThreshold } from './confidence-threshold.ts'
import type { StratumThreshold, ThresholdSet } from './thresholds.ts'

export interface FragmentOptions {
  /** Whether the scorer knows what escalation gains; a threshold on 1 − P(OSS right) is set by the chance itself. */
  hasGain: boolean
  /** A promise of accuracy: steps that the scorer cannot judge were not in it, so that they must all escalate. */
  escalateUnjudged: boolean
  /** Where the labels told of the answers' confidence, and that it matters. */
  confidence?: ConfidenceThreshold | undefined
}

/** The keys of a policy that a calibration sets, as YAML to merge, each number with a comment on where it comes from. */
export function policyFragment(
  scorerHash: string,
  { by, base, strata }: ThresholdSet,
  { hasGain, escalateUnjudged, confidence }: FragmentOptions,
): string {
  const key = hasGain ? 'gainPpm' : 'pSuccessPpm'
  // On this scale a step escalates below the threshold: 1 − P at or above g is P below 1 − g and the least step more.
  const valueOf = ({ gainPpm }: StratumThreshold): number =>
    hasGain ? gainPpm : Math.min(FULL_PPM, Math.max(0, FULL_PPM - gainPpm + 1))
  const entries = (parts: readonly StratumThreshold[]): Record<string, Record<string, number>> =>
    Object.fromEntries(parts.map((part) => [part.name, { [key]: valueOf(part) }]))
  const document = new Document({
    scorer: { use: 'trained', hash: scorerHash },
    threshold: {
      [key]: valueOf(base),
      ...(hasGain && escalateUnjudged && { pSuccessPpm: FULL_PPM }),
      ...(by && { [by === 'kind' ? 'perKind' : 'perTenant']: entries(strata) }),
    },
    ...(confidence && { verification: { minConfidencePpm: confidence.minConfidencePpm } }),
  })
  document.commentBefore =
    ' Merge into the policy, then: shunt policy check policy.yaml\n' +
    (hasGain
      ? ' A step escalates when its gain, P(frontier right) - P(OSS right), is at or above gainPpm.'
      : ' The scorer knows nothing of the frontier model: a step escalates when P(OSS right) is below pSuccessPpm.')
  commentKey(document.contents as YAMLMap, 'scorer', 'sha256 of scorer.bin')
  const threshold = document.get('threshold') as YAMLMap
  commentKey(threshold, key, base.origin)
  if (hasGain && escalateUnjudged)
    commentKey(threshold, 'pSuccessPpm', 'what the scorer has too few labels of was not in the promise: it escalates')
  if (by) {
    const parts = threshold.get(by === 'kind' ? 'perKind' : 'perTenant') as YAMLMap
    for (const { name, origin } of strata) commentKey(parts, name!, origin)
  }
  if (confidence) commentKey(document.get('verification') as YAMLMap, 'minConfidencePpm', confidence.origin)
  return document.toString({ lineWidth: 0 })
}

const FULL_PPM = 1_000_000

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
