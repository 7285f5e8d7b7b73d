import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentStep, RoutedStep } from '#lib/events/types.generated'

export const benchTenant = 'bench'
export const benchModel = 'bench-oss'

/** A classification step whose record takes about `bytes`. */
export function makeStep(bytes: number, more: Partial<AgentStep> = {}): AgentStep {
  const id = randomUUID()
  const frame = 260
  const text = 'A burst pipe flooded the kitchen of the insured on Sunday night; the floor has to be replaced. '
  const content = text.repeat(Math.ceil(bytes / text.length)).slice(0, Math.max(1, bytes - frame))
  return {
    stepId: `s-${id}`,
    taskId: `t-${id}`,
    tenantId: benchTenant,
    sequence: null,
    kind: 'classification',
    request: JSON.stringify({ messages: [{ role: 'user', content }], max_tokens: 8 }),
    constraints: { allowedRegions: null, requiredTags: [], frontierAllowed: true, critical: [] },
    taskBudgetMicroUsd: null,
    deadlineAtMs: null,
    priority: 'interactive',
    batchId: null,
    metadata: {},
    ...more,
  }
}

/** As the classifier would route it to the pool. */
export function makeRoutedStep(step: AgentStep, policyHash: string, nowMs: number): RoutedStep {
  return {
    step,
    origin: { topic: 'agent.steps', partition: 0, offset: 0, receivedAtMs: nowMs },
    decision: {
      attempt: 1,
      tier: 'oss',
      model: benchModel,
      reasons: ['confident'],
      pSuccessPpm: 900_000,
      gainPpm: null,
      thresholdPpm: 500_000,
      thresholdOn: 'p_success',
      policyHash,
      scorerHash: null,
      engineVersion: 1,
      maxOutputTokens: 8,
      boundMicroUsd: 1,
      decidedAtMs: nowMs,
      reservedAtMs: 0,
    },
    attempts: [],
  }
}

/** Everything to the pool, whose one backend is the simulator at `ossUrl`. */
export function benchPolicy(ossUrl: string, maxInFlight: number): string {
  return JSON.stringify({
    version: 1,
    models: [
      {
        id: benchModel,
        tier: 'oss',
        contextTokens: 1_000_000,
        maxOutputTokens: 64,
        price: { inputMicroUsdPerMTok: 50_000, outputMicroUsdPerMTok: 80_000 },
      },
    ],
    backends: [
      {
        id: 'simulated',
        model: benchModel,
        baseUrl: `${ossUrl}/v1`,
        apiKeyEnv: 'BENCH_KEY',
        region: 'local',
        maxInFlight,
      },
    ],
    tenants: [{ id: benchTenant }],
    rules: [{ name: 'all-to-oss', when: { tenant: [benchTenant] }, choose: { tier: 'oss' } }],
  })
}

/** Starts `act` at an even pace, whether or not the ones before have ended; resolves when all have. */
export async function pace(perSecond: number, durationMs: number, act: () => Promise<unknown>): Promise<void> {
  const startedAtMs = performance.now()
  const started: Promise<unknown>[] = []
  for (let passedMs = 0; passedMs < durationMs; passedMs = performance.now() - startedAtMs) {
    while (started.length < (passedMs * perSecond) / 1_000) started.push(act())
    await sleep(5)
  }
  await Promise.all(started)
}
