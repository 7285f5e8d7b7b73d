import type { Redis } from 'ioredis'
import { failureRatePpm, subjectsOf, type FailureSubjects } from './failure-memory.ts'
import { dayOf, ledgerKeys } from './keys.ts'
import { ledgerLost } from './ledger-lost.ts'
import { loadLuaScript } from './lua-script.ts'
import { createTenantBatches } from './tenant-batches.ts'

/** A step in its ledger: by its own record. */
export interface LedgerStep {
  tenantId: string
  taskId: string
  /** topic/partition/offset of the step's own record. */
  origin: string
  /** Number of the decision, from 1. */
  attempt: number
}

/** Money of a task or a day, micro-USD, without what the attempt itself holds. */
export interface Account {
  /** Null: none. */
  capMicroUsd: number | null
  settledMicroUsd: number
  reservedMicroUsd: number
}

/** What the ledger knows of a step that is about to be decided. */
export interface Standing {
  task: Account
  day: Account
  /** Steps of the task that were decided so far, as far as they are folded in; counted for a task with a cap. */
  taskSteps: number
  /** What the attempt holds already: it was decided before, and that was lost. */
  heldMicroUsd: number
  /** By `task`, `tool:<name>`, `kind:<kind>`, `model:<id>`, those above 0; decayed. */
  failuresPpm: Record<string, number>
}

/** Caps as the step and the policy name them, micro-USD; null: none. */
export interface NamedCaps {
  taskMicroUsd: number | null
  dayMicroUsd: number | null
}

export type ReserveAnswer =
  /** Held until the log says that the attempt or the step is over. */
  | { state: 'held'; heldSinceMs: number }
  /** Nothing was held, and these were in the way. */
  | { state: 'refused'; task: Account; day: Account }
  /** The attempt is over: whoever asks is late. */
  | { state: 'ended' }

/**
 * Budgets as deciders and workers see them. Both methods throw SHUNT_REDIS_UNAVAILABLE and SHUNT_LEDGER_LOST
 * (retryable).
 */
export interface Budgets {
  read(step: LedgerStep, caps: NamedCaps, subjects: FailureSubjects, nowMs: number): Promise<Standing>
  /**
   * Holds `boundMicroUsd` for the attempt in place of what it holds; 0 gives that back. Within task's cap and tenant's day
   * in one script: what all hold and have settled is never more than a cap.
   */
  reserve(step: LedgerStep, boundMicroUsd: number, caps: NamedCaps, nowMs: number): Promise<ReserveAnswer>
}

/** How long a task is remembered that nothing is held for. */
export const taskKeepMs = 30 * 86_400_000
/** Most steps in one script call: bounds how long Redis is held. */
const maxBatch = 64

interface Question {
  tenantId: string
  step: LedgerStep
  caps: NamedCaps
  subjects: { name: string; key: string }[]
  nowMs: number
}

type StepReply = [
  cap: string | null,
  capBy: string | null,
  settled: string,
  reserved: string,
  steps: string,
  held: string | null,
]

export function createBudgets(deps: { redis: Redis; namespace: string }): Budgets {
  const keys = ledgerKeys(deps.namespace)
  const readSnapshot = loadLuaScript(deps.redis, 'readSnapshot')
  const reserveScript = loadLuaScript(deps.redis, 'reserve')

  const read = createTenantBatches<Question, Standing>(
    async (batch) => {
      const { tenantId, nowMs } = batch[0]!
      const reply = (await readSnapshot(
        [
          keys.ledger(tenantId),
          keys.day(tenantId, dayOf(nowMs)),
          ...batch.flatMap(({ step, subjects }) => [
            keys.task(tenantId, step.taskId),
            keys.step(tenantId, step.origin),
            ...subjects.map(({ key }) => keys.failures(tenantId, key)),
          ]),
        ],
        [batch.length, ...batch.flatMap(({ step, subjects }) => [step.attempt, subjects.length])],
      )) as [string, string | null, string, string, ...StepReply[]]
      const [state, dayCap, daySettled, dayReserved, ...steps] = reply
      if (state === 'lost') throw ledgerLost(tenantId)
      return batch.map((question, index) => standingOf(question, [dayCap, daySettled, dayReserved], steps[index]!))
    },
    ({ nowMs }) => dayOf(nowMs),
    maxBatch,
  )

  async function reserve(
    step: LedgerStep,
    boundMicroUsd: number,
    caps: NamedCaps,
    nowMs: number,
    day = dayOf(nowMs),
  ): Promise<ReserveAnswer> {
    const { tenantId, taskId, origin, attempt } = step
    const [state, ...rest] = (await reserveScript(
      [keys.ledger(tenantId), keys.task(tenantId, taskId), keys.day(tenantId, day), keys.step(tenantId, origin)],
      [attempt, boundMicroUsd, caps.taskMicroUsd ?? '', caps.dayMicroUsd ?? '', day, nowMs, taskKeepMs],
    )) as [string, ...unknown[]]
    if (state === 'lost') throw ledgerLost(tenantId)
    if (state === 'other_day') return reserve(step, boundMicroUsd, caps, nowMs, rest[0] as string)
    if (state === 'ended') return { state }
    const [taskCap, taskSettled, taskReserved, dayCap, daySettled, dayReserved, heldSinceMs] = rest as number[]
    if (state === 'held') return { state, heldSinceMs: heldSinceMs! }
    const account = (cap: number, settled: number, reserved: number): Account => ({
      capMicroUsd: cap < 0 ? null : cap,
      settledMicroUsd: settled,
      reservedMicroUsd: reserved,
    })
    return {
      state: 'refused',
      task: account(taskCap!, taskSettled!, taskReserved!),
      day: account(dayCap!, daySettled!, dayReserved!),
    }
  }

  return {
    read: (step, caps, subjects, nowMs) =>
      read({ tenantId: step.tenantId, step, caps, subjects: subjectsOf(subjects), nowMs }),
    reserve: (step, boundMicroUsd, caps, nowMs) => reserve(step, boundMicroUsd, caps, nowMs),
  }
}

function standingOf(
  { caps, subjects, nowMs }: Question,
  [dayCap, daySettled, dayReserved]: [string | null, string, string],
  reply: StepReply,
): Standing {
  const [cap, capBy, settled, reserved, steps, held, ...failures] = reply as [...StepReply, ...(string | null)[]]
  const [heldMicroUsd, heldDay] = heldOf(held)
  const isToday = heldDay === dayOf(nowMs)
  const failuresPpm: Record<string, number> = {}
  for (const [index, { name }] of subjects.entries()) {
    const ppm = failureRatePpm(failures[index] ?? null, nowMs)
    if (ppm > 0) failuresPpm[name] = ppm
  }
  return {
    task: {
      capMicroUsd: capBy === 'operator' ? Number(cap) : leastCap(cap === null ? null : Number(cap), caps.taskMicroUsd),
      settledMicroUsd: Number(settled),
      reservedMicroUsd: Number(reserved) - heldMicroUsd,
    },
    day: {
      capMicroUsd: dayCap === null ? caps.dayMicroUsd : Number(dayCap),
      settledMicroUsd: Number(daySettled),
      reservedMicroUsd: Number(dayReserved) - (isToday ? heldMicroUsd : 0),
    },
    taskSteps: Number(steps),
    heldMicroUsd,
    failuresPpm,
  }
}

/** As reserve.lua writes it; '-' where the attempt is over. */
function heldOf(held: string | null): [amountMicroUsd: number, day: string | null] {
  if (held === null || held === '-') return [0, null]
  const [amount, day] = held.split(' ')
  return [Number(amount), day ?? null]
}

function leastCap(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b)
}

/** What may still be held under both caps; null: any amount. */
export function budgetLeftOf(...accounts: readonly Account[]): number | null {
  let left: number | null = null
  for (const { capMicroUsd, settledMicroUsd, reservedMicroUsd } of accounts)
    if (capMicroUsd !== null)
      left = Math.min(left ?? Infinity, Math.max(0, capMicroUsd - settledMicroUsd - reservedMicroUsd))
  return left
}
