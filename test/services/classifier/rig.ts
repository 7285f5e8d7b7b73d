import { readFileSync } from 'node:fs'
import type { AgentStep, AuditType, DecisionRecord, RoutedStep, StepResult } from '#lib/events/types.generated'
import type { Account, Budgets } from '#lib/ledger/budgets'
import { readClaim, type Claim, type Claims } from '#lib/ledger/claims'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import type { Handled, InboundRecord } from '#lib/stream/types'
import { localCodec } from '../../support/local-codec.ts'

export const policyText = readFileSync(new URL('../../../samples/policy.yaml', import.meta.url), 'utf8')
export const loaded = parsePolicy(policyText, 'samples/policy.yaml', readScorerFile().hash)
export const policy = { hash: loaded.hash, policy: loaded.policy, trained: null }
export const codec = await localCodec()
export const nowMs = 1_790_000_000_000

export function makeStep(more: Partial<AgentStep> = {}): AgentStep {
  return {
    stepId: 's-1',
    taskId: 't-1',
    tenantId: 'acme-claims',
    sequence: null,
    kind: 'classification',
    request: JSON.stringify({
      messages: [{ role: 'user', content: 'Is this water damage? yes or no' }],
      max_tokens: 2,
    }),
    constraints: { allowedRegions: null, requiredTags: [], frontierAllowed: true, critical: [] },
    taskBudgetMicroUsd: null,
    deadlineAtMs: null,
    priority: 'interactive',
    batchId: null,
    metadata: {},
    ...more,
  }
}

export function recordOf(value: Buffer | null, more: Partial<InboundRecord> = {}): InboundRecord {
  const place = { topic: 'agent.steps', partition: 2, offset: 41 }
  return { ...place, key: Buffer.from('t-1'), value, headers: {}, timestampMs: nowMs - 5, ...more }
}

export const stepRecord = (step: AgentStep, more: Partial<InboundRecord> = {}) =>
  recordOf(codec.encode('step', step), more)

/** The claims of one Redis, in memory: same rules, one process. */
export function memoryClaims(): Claims {
  const standing = new Map<string, string>()
  const keyOf = (step: Pick<Claim, 'tenantId' | 'stepId'>) => `${step.tenantId} ${step.stepId}`
  return {
    claim(claim) {
      const before = standing.get(keyOf(claim)) ?? ''
      if (before === '') standing.set(keyOf(claim), `${claim.origin}#${claim.contentHash}`)
      return Promise.resolve(readClaim(claim, before))
    },
    holder: (step) => Promise.resolve(standing.get(keyOf(step))?.split('#')[0] ?? null),
  }
}

/** The budgets of one Redis, in memory: the rules of caps alone, and nothing that a log would settle. */
export function memoryBudgets(failuresPpm: Record<string, number> = {}): Budgets & { held: Map<string, number> } {
  const held = new Map<string, number>()
  const account = (capMicroUsd: number | null, own: string): Account => {
    let reservedMicroUsd = 0
    for (const [name, amount] of held) if (name !== own) reservedMicroUsd += amount
    return { capMicroUsd, settledMicroUsd: 0, reservedMicroUsd }
  }
  return {
    held,
    read({ origin, attempt }, { taskMicroUsd, dayMicroUsd }) {
      const own = `${origin} ${attempt}`
      const [task, day] = [account(taskMicroUsd, own), account(dayMicroUsd, own)]
      return Promise.resolve({ task, day, taskSteps: 0, heldMicroUsd: held.get(own) ?? 0, failuresPpm })
    },
    reserve({ origin, attempt }, boundMicroUsd, { taskMicroUsd, dayMicroUsd }, heldSinceMs) {
      const own = `${origin} ${attempt}`
      const [task, day] = [account(taskMicroUsd, own), account(dayMicroUsd, own)]
      for (const { capMicroUsd, reservedMicroUsd } of [task, day])
        if (capMicroUsd !== null && reservedMicroUsd + boundMicroUsd > capMicroUsd)
          return Promise.resolve({ state: 'refused', task, day })
      held.set(own, boundMicroUsd)
      return Promise.resolve({ state: 'held', heldSinceMs })
    },
  }
}

export interface ReadHandled {
  topics: string[]
  compressed: boolean[]
  routed: RoutedStep[]
  results: StepResult[]
  audit: AuditType[]
  decisions: DecisionRecord[]
}

/** What was written, decoded again as its readers would. */
export async function read(handled: Handled): Promise<ReadHandled> {
  const of = (topic: RegExp) => handled.records.filter((record) => topic.test(record.topic))
  const decisions = (handled.audit ?? []).filter((draft) => draft.type === 'decision')
  return {
    topics: handled.records.map((record) => record.topic),
    compressed: handled.records.map((record) => record.compress ?? false),
    routed: await Promise.all(of(/steps\.(oss|frontier)/).map(({ value }) => codec.decode('routed-step', value))),
    results: await Promise.all(of(/results$/).map(({ value }) => codec.decode('step-result', value))),
    audit: (handled.audit ?? []).map((draft) => draft.type),
    decisions: await Promise.all(decisions.map(({ body }) => codec.decode('decision-record', body))),
  }
}
