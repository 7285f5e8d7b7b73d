import type { Finding } from '#lib/audit/findings'
import type { LogSummary } from '#lib/audit/verify-log'
import { plural, printable } from './output.ts'

export interface AuditSummary extends Omit<LogSummary, 'heads' | 'positions'> {
  source: string
  /** Links that the anchors name. */
  anchoredLinks: number
  /** Lanes whose committed head was compared; null where none was asked. */
  lanes: number | null
  /** Lanes whose offset commit does not tell a head. */
  lanesUnknown: string[]
  linksPerSecond: number
  findings: number
  /** The earliest, by its record's time. */
  first: Finding | null
  /** The first of them, as they were found. */
  listed: readonly Finding[]
}

/** Of what is only told, and is no finding, so many are listed; `--json` has all. */
const printed = 10

export function formatAuditSummary(summary: AuditSummary): string[] {
  const { source, chains, links, policies, linksPerSecond, findings, first, listed } = summary
  return [
    `${source}: ${plural(links, 'link')} in ${plural(chains, 'chain')}, ${linksPerSecond}/s`,
    ...formatMarks(summary),
    ...formatGiven(summary),
    `${plural(policies, 'policy or scorer', 'policies and scorers')} named by decisions`,
    ...formatSteps(summary),
    ...(first
      ? [
          plural(findings, 'finding'),
          `first: ${formatFinding(first)}`,
          ...listed.map((finding) => `  ${formatFinding(finding)}`),
          ...(findings > listed.length ? [`  … and ${findings - listed.length} more: --findings N lists them`] : []),
        ]
      : ['nothing is wrong']),
  ]
}

function formatMarks({ anchoredLinks, lanes, lanesUnknown, compared, notCompared }: AuditSummary): string[] {
  const of = [
    ...(anchoredLinks > 0 ? [plural(anchoredLinks, 'anchored link')] : []),
    ...(lanes === null ? [] : [plural(lanes, 'lane')]),
  ]
  const unknown = lanesUnknown.slice(0, printed).map((chainId) => `  no head is committed: ${printable(chainId)}`)
  if (of.length === 0) return ['no anchors and no lanes: a changed last link, or a cut tail, is not seen']
  const apart = notCompared > 0 ? `, ${notCompared} not: they lie outside of what was read` : ''
  return [`compared with ${of.join(' and ')}: ${plural(compared, 'link')}${apart}`, ...unknown]
}

function formatGiven({ given }: AuditSummary): string[] {
  if (given.length === 0) return []
  return [
    `${plural(given.length, 'chain')} whose beginning was not read: the first link is taken as given`,
    ...given
      .slice(0, printed)
      .map(
        ({ chainId, epoch, seq, place: { partition, offset } }) =>
          `  ${printable(chainId)}: verified after epoch ${epoch} seq ${seq} at ${partition}/${offset}`,
      ),
    ...(given.length > printed ? [`  … and ${given.length - printed} more`] : []),
  ]
}

function formatSteps({ steps }: AuditSummary): string[] {
  if (!steps) return ['steps were not looked at']
  const { complete, duplicate, open, wrong } = steps
  const unknown = steps['not verifiable']
  return [
    `${plural(complete, 'step')} complete, ${open} open, ${duplicate} published again, ${wrong} wrong` +
      (unknown > 0 ? `, ${unknown} not verifiable: a part of them is not kept, or not read` : ''),
  ]
}

function formatFinding({ code, message }: Finding): string {
  return `${code}: ${printable(message)}`
}
