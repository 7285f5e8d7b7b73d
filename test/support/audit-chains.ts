import { linkHash } from '#lib/audit/chain'
import type {
  AttemptRecord,
  AuditRecord,
  AuditType,
  DecisionRecord,
  OutcomeRecord,
  StepResult,
} from '#lib/events/types.generated'

/** A link as it was read: its place in the topic, its envelope, its body decoded. */
export interface ReadLink {
  partition: number
  offset: number
  record: AuditRecord
  body: unknown
}

/**
 * Every chain of the audit is whole: in the log's order, in one partition, seq by seq, each link naming the hash of the
 * one before; a later epoch begins with the record of its reset. Returns the number of links by chain.
 */
export function expectWholeChains(links: readonly ReadLink[]): Map<string, number> {
  const lengths = new Map<string, number>()
  for (const [chainId, chain] of Map.groupBy(links, (link) => link.record.chainId)) {
    const inOrder = chain.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
    let last: AuditRecord | undefined
    for (const { record, partition, offset } of inOrder) {
      const problem = problemOf(record, last) ?? (partition === inOrder[0]!.partition ? null : 'lies elsewhere')
      if (problem) throw new Error(`${chainId}: epoch ${record.epoch} seq ${record.seq} (offset ${offset}) ${problem}`)
      last = record
    }
    lengths.set(chainId, chain.length)
  }
  return lengths
}

function problemOf(link: AuditRecord, last: AuditRecord | undefined): string | null {
  const startsEpoch = last === undefined || link.epoch !== last.epoch
  if (last === undefined && link.epoch !== 1) return 'opens the chain with a later epoch'
  if (last !== undefined && startsEpoch && link.epoch !== last.epoch + 1) return `follows epoch ${last.epoch}`
  if (last !== undefined && startsEpoch && link.type !== 'lane_reset') return 'opens an epoch and is no lane_reset'
  if (link.seq !== (startsEpoch ? 1 : last.seq + 1)) return `follows seq ${startsEpoch ? 0 : last.seq}`
  const expected = startsEpoch ? Buffer.alloc(32) : linkHash(last)
  return expected.equals(link.prevHash) ? null : 'does not name the hash of the link before'
}

/**
 * The audit tells the same as the results: one outcome a result, and one decision and one attempt record for every
 * attempt, none twice.
 */
export function expectAuditTellsOf(results: readonly StepResult[], links: readonly ReadLink[]): void {
  const outcomes = tally(links, 'outcome', (body) => {
    const { tenantId, stepId, status } = body as OutcomeRecord
    return `${tenantId}/${stepId} ${status}`
  })
  const decisions = tally(links, 'decision', (body) => {
    const { facts, stepId, attempt } = body as DecisionRecord
    return `${facts.tenantId}/${stepId} #${attempt}`
  })
  const attempts = tally(links, 'attempt', (body) => {
    const { tenantId, stepId, attempt } = body as AttemptRecord
    return `${tenantId}/${stepId} #${attempt.attempt}`
  })

  const expectedOutcomes = new Map<string, number>()
  const expectedAttempts = new Map<string, number>()
  for (const result of results) {
    const name = `${result.tenantId}/${result.stepId}`
    add(expectedOutcomes, `${name} ${result.status}`)
    for (const { attempt } of result.attempts) add(expectedAttempts, `${name} #${attempt}`)
  }
  const problems = [
    ...differences('outcome', expectedOutcomes, outcomes),
    ...differences('attempt', expectedAttempts, attempts),
    ...[...expectedAttempts.keys()].filter((name) => !decisions.has(name)).map((name) => `no decision ${name}`),
    ...[...decisions].filter(([, count]) => count > 1).map(([name, count]) => `${count} decisions ${name}`),
  ]
  if (problems.length > 0) throw new Error(`audit and results differ: ${problems.slice(0, 20).join('; ')}`)
}

function tally(links: readonly ReadLink[], type: AuditType, nameOf: (body: unknown) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const link of links) if (link.record.type === type) add(counts, nameOf(link.body))
  return counts
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function differences(what: string, expected: Map<string, number>, found: Map<string, number>): string[] {
  return [...new Set([...expected.keys(), ...found.keys()])]
    .filter((name) => expected.get(name) !== found.get(name))
    .map((name) => `${found.get(name) ?? 0} ${what}s ${name}, expected ${expected.get(name) ?? 0}`)
}
