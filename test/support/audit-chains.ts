import { createChainVerifier } from '#lib/audit/verify-chains'
import type {
  AttemptRecord,
  AuditRecord,
  AuditType,
  DecisionRecord,
  LaneResetRecord,
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
 * Every chain of the audit is whole, by the product's own verifier, in the log's order. Returns the number of links by
 * chain.
 */
export function expectWholeChains(links: readonly ReadLink[]): Map<string, number> {
  const findings: string[] = []
  const verifier = createChainVerifier({ report: ({ code, message }) => findings.push(`${code}: ${message}`) })
  for (const { partition, offset, record, body } of links.toSorted(byPlace)) {
    const entry = { topic: 'agent.audit', partition, offset, timestampMs: 0, record, problem: null }
    verifier.take(entry, record.type === 'lane_reset' ? (body as LaneResetRecord) : null)
  }
  verifier.end()
  for (const { chainId, epoch, seq } of verifier.givenStarts())
    findings.push(`${chainId}: begins with epoch ${epoch} seq ${seq}`)
  if (findings.length > 0) throw new Error(`the audit's chains: ${findings.slice(0, 20).join('; ')}`)
  return new Map([...Map.groupBy(links, ({ record }) => record.chainId)].map(([id, chain]) => [id, chain.length]))
}

function byPlace(a: ReadLink, b: ReadLink): number {
  return a.partition - b.partition || a.offset - b.offset
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
      for (const call of callNo === 0 ? [0] : Array.from({ length: callNo }, (_, i) => i + 1))
        if (!calls.has(`${name} #${attempt} call ${call}`)) problems.push(`no attempt ${name} #${attempt} call ${call}`)
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
