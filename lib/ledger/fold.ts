import type { Redis } from 'ioredis'
import { failureHalfLifeMs, failureKeepMs, subjectsOf } from './failure-memory.ts'
import { dayOf, ledgerKeys } from './keys.ts'
import { loadLuaScript } from './lua-script.ts'
import { taskKeepMs, type LedgerStep } from './budgets.ts'

/** Where a record of the log lies. One place is folded in the order of its offsets, and each offset once. */
export interface LogPosition {
  /** topic/partition */
  place: string
  offset: number
}

/** What a decision means for budgets. */
export interface DecisionEntry extends LedgerStep {
  /** 0 where nothing is paid for. */
  boundMicroUsd: number
  taskCapMicroUsd: number | null
  reservedAtMs: number
  /** Tools that failed in the step's own trace, right before it. */
  troubledTools: readonly string[]
  kind: string
}

/** What an attempt has cost, and what it says of the model that made it. */
export interface AttemptEntry extends LedgerStep {
  stepId: string
  costMicroUsd: number
  /** Of one call, as reserved. */
  boundMicroUsd: number
  reservedAtMs: number
  endedAtMs: number
  /** False for an earlier call of the attempt that was lost. */
  ends: boolean
  tier: 'oss' | 'frontier'
  kind: string
  model: string
  /** Offered tools that the answer calls. */
  tools: readonly string[]
  /** Null where it says nothing of the answer: the cause passes by itself, or no call was made. */
  succeeded: boolean | null
}

export interface OutcomeEntry {
  tenantId: string
  taskId: string
  origin: string
  finishedAtMs: number
}

export interface FeedbackEntry {
  tenantId: string
  taskId: string
  stepId: string
  right: boolean
  atMs: number
}

/** `unknown_tenant` is not folded's opposite: there is no ledger for it to go into. */
export type Folded = 'folded' | 'seen' | 'lost'

/**
 * The log, record by record, into budgets and failures. Sums, minima and tombstones alone: partitions may come in any
 * order and give the same budgets. Each method throws SHUNT_REDIS_UNAVAILABLE (retryable), and may then be called again.
 */
export interface Fold {
  decision(entry: DecisionEntry, at: LogPosition): Promise<Folded>
  /** `overMicroUsd`: what was settled above its bound. */
  attempt(entry: AttemptEntry, at: LogPosition): Promise<{ state: Folded; overMicroUsd: number }>
  outcome(entry: OutcomeEntry, at: LogPosition): Promise<Folded>
  feedback(entry: FeedbackEntry, at: LogPosition): Promise<Folded>
}

/** A zombie's late reservation, or a decision that is folded after its step's end, comes sooner than this. */
const endedKeepMs = 6 * 3_600_000
/** How long a caller may think over an answer. */
const answeredKeepMs = 86_400_000

/** `rebuild` is the token of the rebuild that folds; null for the ledger's own stage. */
export function createFold(deps: { redis: Redis; namespace: string }, rebuild: string | null = null): Fold {
  const { redis } = deps
  const keys = ledgerKeys(deps.namespace)
  const foldDecision = loadLuaScript(redis, 'foldDecision')
  const foldAttempt = loadLuaScript(redis, 'foldAttempt')
  const foldOutcome = loadLuaScript(redis, 'foldOutcome')
  const addFailures = loadLuaScript(redis, 'addFailures')
  const token = rebuild ?? ''
  const guarded = (tenantId: string) => [keys.ledger(tenantId), keys.applied(tenantId)]

  async function remember(
    tenantId: string,
    subjects: readonly string[],
    failed: boolean,
    atMs: number,
    { place, offset }: LogPosition,
  ): Promise<Folded> {
    return (await addFailures(
      [...guarded(tenantId), ...subjects.map((subject) => keys.failures(tenantId, subject))],
      [token, `${place} failures`, offset, failed ? 1 : 0, failed ? 0 : 1, atMs, failureHalfLifeMs, failureKeepMs],
    )) as Folded
  }

  return {
    async decision(entry, at) {
      const { tenantId, taskId, origin, attempt } = entry
      const day = dayOf(entry.reservedAtMs)
      const folded = foldDecision(
        [...guarded(tenantId), keys.task(tenantId, taskId), keys.day(tenantId, day), keys.step(tenantId, origin)],
        [
          token,
          at.place,
          at.offset,
          attempt,
          entry.boundMicroUsd,
          entry.taskCapMicroUsd ?? '',
          day,
          entry.reservedAtMs,
          attempt === 1 ? 1 : 0,
          taskKeepMs,
        ],
      )
      if (attempt > 1 || entry.troubledTools.length === 0) return (await folded) as Folded
      const subjects = subjectsOf({ ...entry, kind: entry.kind, models: [], tools: entry.troubledTools })
      const troubled = subjects.filter(({ name }) => name === 'task' || name.startsWith('tool:')).map(({ key }) => key)
      await remember(tenantId, troubled, true, entry.reservedAtMs, at)
      return (await folded) as Folded
    },

    async attempt(entry, at) {
      const { tenantId, taskId, origin, attempt } = entry
      const day = dayOf(entry.reservedAtMs)
      const [state, over] = (await foldAttempt(
        [...guarded(tenantId), keys.task(tenantId, taskId), keys.day(tenantId, day), keys.step(tenantId, origin)],
        [token, at.place, at.offset, attempt, entry.costMicroUsd, entry.boundMicroUsd, entry.ends ? 1 : 0, taskKeepMs],
      )) as [Folded, number?]
      if (state !== 'lost' && entry.succeeded !== null) {
        await remember(tenantId, subjectsAnswered(entry), !entry.succeeded, entry.endedAtMs, at)
        if (entry.succeeded) await noteAnswered(entry)
      }
      return { state, overMicroUsd: over ?? 0 }
    },

    async outcome({ tenantId, taskId, origin, finishedAtMs }, at) {
      let days = [dayOf(finishedAtMs)]
      for (;;) {
        const [state, ...others] = (await foldOutcome(
          [
            ...guarded(tenantId),
            keys.task(tenantId, taskId),
            keys.step(tenantId, origin),
            ...days.map((day) => keys.day(tenantId, day)),
          ],
          [token, at.place, at.offset, endedKeepMs, taskKeepMs, ...days],
        )) as ['days' | Folded, ...string[]]
        if (state !== 'days') return state
        days = [...days, ...others]
      }
    },

    async feedback({ tenantId, taskId, stepId, right, atMs }, at) {
      const answered = await redis.get(keys.answered(tenantId, stepId))
      const subjects = answered === null ? [`task:${taskId}`] : (JSON.parse(answered) as string[])
      return remember(tenantId, subjects, !right, atMs, at)
    },
  }

  async function noteAnswered(entry: AttemptEntry): Promise<void> {
    const subjects = JSON.stringify(subjectsAnswered(entry))
    await redis.set(keys.answered(entry.tenantId, entry.stepId), subjects, 'PX', answeredKeepMs)
  }
}

/** A frontier model's answers say nothing of the open models that kind, task and tools are remembered for. */
function subjectsAnswered({ tier, taskId, kind, model, tools }: AttemptEntry): string[] {
  if (tier === 'frontier') return [`model:${model}`]
  return subjectsOf({ taskId, kind, models: [model], tools }).map(({ key }) => key)
}
