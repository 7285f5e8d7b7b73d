import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { budgetLeftOf, createBudgets, type Budgets, type LedgerStep, type NamedCaps } from '#lib/ledger/budgets'
import { createFold, type AttemptEntry, type DecisionEntry, type Fold, type LogPosition } from '#lib/ledger/fold'
import { createLedgerState, openLedger } from '#lib/ledger/ledger-state'

const atMs = Date.UTC(2026, 10, 25, 12)
const noSubjects = { taskId: 'none', kind: 'unknown', models: [], tools: [] }
let redis: Redis
const namespace = `test-${randomUUID().slice(0, 8)}`

beforeAll(() => {
  redis = new Redis(inject('stack').redisUrl)
})
afterAll(() => redis.disconnect())

/** A tenant that nothing is known of, in the test's namespace. */
async function newTenant(): Promise<{ tenantId: string; budgets: Budgets; fold: Fold }> {
  const tenantId = `tenant-${randomUUID().slice(0, 8)}`
  const state = createLedgerState({ redis, namespace })
  if (!(await state.ensure([tenantId]))) await openLedger(state, [tenantId])
  return { tenantId, budgets: createBudgets({ redis, namespace }), fold: createFold({ redis, namespace }) }
}

const stepOf = (tenantId: string, n: number, attempt = 1, taskId = 'task'): LedgerStep => ({
  tenantId,
  taskId,
  origin: `agent.steps/0/${n}`,
  attempt,
})

function decisionOf(step: LedgerStep, more: Partial<DecisionEntry> = {}): DecisionEntry {
  const noTrouble = { troubledTools: [], kind: 'reasoning' }
  return { ...step, boundMicroUsd: 100, taskCapMicroUsd: null, reservedAtMs: atMs, ...noTrouble, ...more }
}

function attemptOf(step: LedgerStep, more: Partial<AttemptEntry> = {}): AttemptEntry {
  return {
    ...step,
    stepId: step.origin,
    costMicroUsd: 40,
    boundMicroUsd: 100,
    reservedAtMs: atMs,
    endedAtMs: atMs + 1_000,
    ends: true,
    tier: 'frontier',
    kind: 'reasoning',
    model: 'big',
    tools: [],
    succeeded: true,
    ...more,
  }
}

const at = (offset: number, place = 'agent.audit/0'): LogPosition => ({ place, offset })
const caps: NamedCaps = { taskMicroUsd: 1_000, dayMicroUsd: 5_000 }

describe('a reservation', () => {
  test('holds its bound until its attempt is settled, which gives back what was not spent', async () => {
    const { tenantId, budgets, fold } = await newTenant()
    const step = stepOf(tenantId, 1)
    expect(await budgets.reserve(step, 600, caps, atMs)).toEqual({ state: 'held', heldSinceMs: atMs })
    expect(await budgets.reserve(stepOf(tenantId, 2), 600, caps, atMs)).toMatchObject({
      state: 'refused',
      task: { capMicroUsd: 1_000, settledMicroUsd: 0, reservedMicroUsd: 600 },
    })
    await fold.attempt(attemptOf(step, { boundMicroUsd: 600, costMicroUsd: 250 }), at(1))
    expect(await budgets.read(stepOf(tenantId, 2), caps, noSubjects, atMs)).toMatchObject({
      task: { settledMicroUsd: 250, reservedMicroUsd: 0 },
      day: { settledMicroUsd: 250, reservedMicroUsd: 0 },
    })
    expect(await budgets.reserve(stepOf(tenantId, 2), 600, caps, atMs)).toMatchObject({ state: 'held' })
  })

  test('is an upsert: asked for again, it replaces what the attempt holds, and its day stays the first', async () => {
    const { tenantId, budgets } = await newTenant()
    const step = stepOf(tenantId, 1)
    await budgets.reserve(step, 600, caps, atMs)
    const nextDayMs = atMs + 86_400_000
    expect(await budgets.reserve(step, 900, caps, nextDayMs)).toEqual({ state: 'held', heldSinceMs: atMs })
    expect(await budgets.read(step, caps, noSubjects, atMs)).toMatchObject({ heldMicroUsd: 900 })
    expect(await budgets.read(stepOf(tenantId, 2), caps, noSubjects, atMs)).toMatchObject({
      day: { reservedMicroUsd: 900 },
    })
    await budgets.reserve(step, 0, caps, nextDayMs)
    expect(await budgets.read(stepOf(tenantId, 2), caps, noSubjects, atMs)).toMatchObject({
      task: { reservedMicroUsd: 0 },
      day: { reservedMicroUsd: 0 },
    })
  })

  test('comes too late once its attempt, or its step, is over', async () => {
    const { tenantId, budgets, fold } = await newTenant()
    const [settled, over] = [stepOf(tenantId, 1), stepOf(tenantId, 2)]
    await fold.attempt(attemptOf(settled), at(1))
    await budgets.reserve(over, 100, caps, atMs)
    await fold.outcome({ tenantId, taskId: 'task', origin: over.origin, finishedAtMs: atMs }, at(2))
    expect(await budgets.reserve(settled, 100, caps, atMs)).toEqual({ state: 'ended' })
    expect(await budgets.reserve({ ...over, attempt: 2 }, 100, caps, atMs)).toEqual({ state: 'ended' })
    expect(await budgets.read(stepOf(tenantId, 3), caps, noSubjects, atMs)).toMatchObject({
      task: { settledMicroUsd: 40, reservedMicroUsd: 0 },
    })
  })

  test('counts for the least cap that any step of the task named, and for an operator’s in its place', async () => {
    const { tenantId, budgets } = await newTenant()
    await budgets.reserve(stepOf(tenantId, 1), 300, { ...caps, taskMicroUsd: 500 }, atMs)
    expect(await budgets.reserve(stepOf(tenantId, 2), 300, caps, atMs)).toMatchObject({ state: 'refused' })
    const { setCap } = await import('#lib/ledger/caps')
    await setCap({ redis, namespace }, { tenantId, taskId: 'task', capMicroUsd: 700 })
    const asked = { ...caps, taskMicroUsd: 500 }
    expect(await budgets.reserve(stepOf(tenantId, 2), 300, asked, atMs)).toMatchObject({ state: 'held' })
    const { task } = await budgets.read(stepOf(tenantId, 3), asked, noSubjects, atMs)
    expect(budgetLeftOf(task)).toBe(100)
  })

  test('is refused to everyone while there is no ledger', async () => {
    const budgets = createBudgets({ redis, namespace })
    const stranger = stepOf(`tenant-${randomUUID().slice(0, 8)}`, 1)
    const lost = { code: 'SHUNT_LEDGER_LOST', retryable: true }
    await expect(budgets.reserve(stranger, 1, caps, atMs)).rejects.toMatchObject(lost)
    await expect(budgets.read(stranger, caps, noSubjects, atMs)).rejects.toMatchObject(lost)
  })
})

test('I3: a lost call after which the budget bears no other one gives back what it held as it settles', async () => {
  const { tenantId, budgets, fold } = await newTenant()
  const tight = { taskMicroUsd: 1_000, dayMicroUsd: null }
  const [lost, other] = [stepOf(tenantId, 1), stepOf(tenantId, 2)]
  await budgets.reserve(lost, 500, tight, atMs)
  await budgets.reserve(other, 500, tight, atMs)
  expect(await budgets.reserve(lost, 1_000, tight, atMs)).toMatchObject({ state: 'refused' })
  const charged = { boundMicroUsd: 500, costMicroUsd: 500, ends: true, succeeded: null }
  await fold.attempt(attemptOf(lost, charged), at(1))
  const { task } = await budgets.read(stepOf(tenantId, 3), tight, noSubjects, atMs)
  expect([task.settledMicroUsd, task.reservedMicroUsd]).toEqual([500, 500])
})

test('a settle above its bound is counted, and told', async () => {
  const { tenantId, fold } = await newTenant()
  const over = await fold.attempt(attemptOf(stepOf(tenantId, 1), { boundMicroUsd: 100, costMicroUsd: 130 }), at(1))
  expect(over).toEqual({ state: 'folded', overMicroUsd: 30 })
})

test('I3: settled and reserved together are never above a cap, whatever fifty workers do and however they crash', async () => {
  const worker = fc.array(
    fc.record({
      task: fc.nat(2),
      bound: fc.integer({ min: 1, max: 400 }),
      // What becomes of the step: nothing more is heard of it, its attempt is settled, or it ends untried.
      end: fc.constantFrom('crash', 'settle', 'settle', 'untried', 'again'),
      spent: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(worker, { minLength: 50, maxLength: 50 }), async (workers) => {
      const { tenantId, budgets, fold } = await newTenant()
      let steps = 0
      let offset = 0
      // One partition of the audit: its records are folded one by one.
      let folding: Promise<unknown> = Promise.resolve()
      const folded = (work: (position: LogPosition) => Promise<unknown>) => {
        const position = at(++offset)
        return (folding = folding.then(() => work(position)))
      }
      const check = async () => {
        for (const taskId of ['task-0', 'task-1', 'task-2']) {
          const { task, day } = await budgets.read(stepOf(tenantId, 0, 9, taskId), caps, noSubjects, atMs)
          expect(task.settledMicroUsd + task.reservedMicroUsd).toBeLessThanOrEqual(1_000)
          expect(day.settledMicroUsd + day.reservedMicroUsd).toBeLessThanOrEqual(2_500)
        }
      }
      const tight = { taskMicroUsd: 1_000, dayMicroUsd: 2_500 }
      await Promise.all(
        workers.map(async (jobs) => {
          for (const { task, bound, end, spent } of jobs) {
            const step = stepOf(tenantId, ++steps, 1, `task-${task}`)
            const { state } = await budgets.reserve(step, bound, tight, atMs)
            if (state !== 'held') continue
            await check()
            if (end === 'again') await budgets.reserve(step, Math.ceil(bound / 2), tight, atMs)
            if (end === 'settle')
              await folded((position) =>
                fold.attempt(
                  attemptOf(step, { boundMicroUsd: bound, costMicroUsd: Math.floor(bound * spent) }),
                  position,
                ),
              )
            if (end === 'untried')
              await folded((position) =>
                fold.outcome({ tenantId, taskId: step.taskId, origin: step.origin, finishedAtMs: atMs }, position),
              )
            await check()
          }
        }),
      )
      await check()
    }),
    { numRuns: 8 },
  )
})

/** A step's records, each in the partition of the lane that wrote it, in the order in which they were written. */
const story = fc.record({
  task: fc.nat(1),
  lane: fc.nat(1),
  attempts: fc.array(
    fc.record({
      bound: fc.constantFrom(0, 50, 120),
      lost: fc.nat(2),
      cost: fc.nat(150),
      ran: fc.boolean(),
      // No call followed the last lost one.
      closed: fc.boolean(),
      hoursOn: fc.nat(30),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  ended: fc.boolean(),
})
type Story = typeof story extends fc.Arbitrary<infer T> ? T : never
type Entry = (fold: Fold, position: LogPosition) => Promise<unknown>

function partitionsOf(tenantId: string, stories: readonly Story[]): Map<string, Entry[]> {
  const partitions = new Map<string, Entry[]>()
  const write = (place: string, entry: Entry) => {
    partitions.set(place, [...(partitions.get(place) ?? []), entry])
  }
  for (const [n, { task, lane, attempts, ended }] of stories.entries()) {
    const origin = { tenantId, taskId: `task-${task}`, origin: `agent.steps/0/${n}` }
    for (const [index, { bound, lost, cost, ran, closed, hoursOn }] of attempts.entries()) {
      const step = { ...origin, attempt: index + 1 }
      const reservedAtMs = atMs + hoursOn * 3_600_000
      write('agent.audit/0', (fold, position) =>
        fold.decision(decisionOf(step, { boundMicroUsd: bound, taskCapMicroUsd: 10_000, reservedAtMs }), position),
      )
      if (!ran) continue
      const paid = { boundMicroUsd: bound, reservedAtMs, tier: bound > 0 ? ('frontier' as const) : ('oss' as const) }
      const calls = bound > 0 ? lost : 0
      for (let call = 1; call <= calls; call++)
        write(`agent.audit/${1 + lane}`, (fold, position) =>
          fold.attempt(
            attemptOf(step, { ...paid, costMicroUsd: bound, ends: closed && call === calls, succeeded: null }),
            position,
          ),
        )
      const costMicroUsd = bound > 0 && !(closed && calls > 0) ? Math.min(cost, bound) : 0
      write(`agent.audit/${1 + lane}`, (fold, position) =>
        fold.attempt(attemptOf(step, { ...paid, costMicroUsd }), position),
      )
    }
    if (ended)
      write(`agent.audit/${1 + lane}`, (fold, position) =>
        fold.outcome({ ...origin, finishedAtMs: atMs + 3_600_000 }, position),
      )
  }
  return partitions
}

/** Every field of every account of the tenant. */
async function accountsOf(tenantId: string): Promise<Record<string, Record<string, string>>> {
  const accounts: Record<string, Record<string, string>> = {}
  for (const part of ['task:task-0', 'task:task-1', 'day:20261125', 'day:20261126', 'day:20261127']) {
    const found = await redis.hgetall(`${namespace}.{${tenantId}}:${part}`)
    accounts[part] = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== '0'))
  }
  return accounts
}

test('I6: partitions of the log, folded in any order and any part twice, give the same budgets', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(story, { minLength: 1, maxLength: 12 }),
      fc.infiniteStream(fc.nat()),
      async (stories, draw) => {
        const seen: unknown[] = []
        for (let round = 0; round < 3; round++) {
          const { tenantId, fold } = await newTenant()
          const partitions = [...partitionsOf(tenantId, stories)].map(([place, entries]) => ({
            place,
            entries,
            next: 0,
          }))
          for (;;) {
            const left = partitions.filter(({ entries, next }) => next < entries.length)
            if (left.length === 0) break
            const pick = left[draw.next().value! % left.length]!
            await pick.entries[pick.next]!(fold, { place: pick.place, offset: pick.next })
            // Every now and then a lane goes back to what it had committed.
            if (draw.next().value! % 5 === 0) pick.next = Math.max(0, pick.next - 2)
            else pick.next += 1
          }
          seen.push(await accountsOf(tenantId))
        }
        expect(seen[1]).toEqual(seen[0])
        expect(seen[2]).toEqual(seen[0])
      },
    ),
    { numRuns: 25 },
  )
})
