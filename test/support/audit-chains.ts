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
 * The audit tells the same as the results: one outcome a result; one decision an attempt; a record of each call of each
 * attempt up to its last, none twice, whose costs add up to the result's.
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
  const costs = new Map<string, number>()
  const calls = tally(links, 'attempt', (body) => {
    const { tenantId, stepId, attempt } = body as AttemptRecord
    add(costs, `${tenantId}/${stepId}`, attempt.costMicroUsd)
    return `${tenantId}/${stepId} #${attempt.attempt} call ${attempt.callNo}`
  })

  const problems = [decisions, calls].flatMap((counts) =>
    [...counts].filter(([, count]) => count > 1).map(([name, count]) => `${count} times ${name}`),
  )
  const expectedOutcomes = new Map<string, number>()
  // A step has several results where other records under its id were rejected, which cost nothing.
  const expectedCosts = new Map<string, number>()
  for (const result of results) {
    const name = `${result.tenantId}/${result.stepId}`
    add(expectedOutcomes, `${name} ${result.status}`, 1)
    for (const { attempt, callNo } of result.attempts) {
      if (!decisions.has(`${name} #${attempt}`)) problems.push(`no decision ${name} #${attempt}`)
      if (!calls.has(`${name} #${attempt} call ${callNo}`))
        problems.push(`no attempt ${name} #${attempt} call ${callNo}`)
    }
    add(expectedCosts, name, result.costMicroUsd)
  }
  for (const [name, cost] of expectedCosts)
    if (cost !== (costs.get(name) ?? 0)) problems.push(`${name} cost ${cost}, its attempts ${costs.get(name) ?? 0}`)
  for (const name of new Set([...expectedOutcomes.keys(), ...outcomes.keys()]))
    if (expectedOutcomes.get(name) !== outcomes.get(name))
      problems.push(`${outcomes.get(name) ?? 0} outcomes ${name}, expected ${expectedOutcomes.get(name) ?? 0}`)
  if (problems.length > 0) throw new Error(`audit and results differ: ${problems.slice(0, 20).join('; ')}`)
}

function tally(links: readonly ReadLink[], type: AuditType, nameOf: (body: unknown) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const link of links) if (link.record.type === type) add(counts, nameOf(link.body), 1)
  return counts
}

function add(sums: Map<string, number>, name: string, value: number): void {
  sums.set(name, (sums.get(name) ?? 0) + value)
}
