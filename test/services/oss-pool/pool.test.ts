import { assert, array, asyncProperty, integer, nat, property, record, string } from 'fast-check'
import { expect, test } from 'vitest'
import type { StepPriority } from '#lib/events/types.generated'
import { createStandIn } from '#lib/models/stand-in'
import { createPool, type Backend, type BackendSpec, type Pool, type Wanted } from '../../../services/oss-pool/pool.ts'
import { chooseBackend } from '../../../services/oss-pool/rank-backends.ts'

const spec = (id: string, more: Partial<BackendSpec> = {}): BackendSpec => ({
  id,
  tier: 'oss',
  region: 'eu',
  complianceTags: [],
  model: 'open',
  modelName: 'open',
  chat: createStandIn(),
  maxInFlight: 1,
  identity: `${id} ${more.region ?? 'eu'}`,
  probeUrls: [],
  apiKey: undefined,
  ...more,
})

const wanted = (more: Partial<Wanted> = {}): Wanted => ({
  model: 'open',
  taskId: 'task',
  tenantId: 'acme',
  priority: 'interactive',
  permits: () => true,
  waitMs: 1_000,
  signal: new AbortController().signal,
  ...more,
})

function harness(specs: BackendSpec[], batchSharePpm = 250_000, interactiveReservePpm = 0) {
  let now = 0
  const pool = createPool({
    nowMs: () => now,
    batchSharePpm: () => batchSharePpm,
    interactiveReservePpm: () => interactiveReservePpm,
  })
  pool.apply(specs)
  return { pool, at: (ms: number) => (now = ms) }
}

test('the calls of a task stay at one backend while the others are no emptier', () => {
  const backends = ['a', 'b', 'c'].map((id) => ({ id, inFlight: 0, maxInFlight: 8 }))
  const chosen = chooseBackend(backends, 'task-7')!
  for (let i = 0; i < 5; i++) expect(chooseBackend(backends, 'task-7')).toBe(chosen)
  chosen.inFlight = 3
  expect(chooseBackend(backends, 'task-7')).not.toBe(chosen)
})

test('a backend that leaves moves only its own tasks', () => {
  assert(
    property(array(string({ minLength: 1 }), { minLength: 1 }), integer({ min: 0, max: 3 }), (tasks, leaves) => {
      const backends = ['a', 'b', 'c', 'd'].map((id) => ({ id, inFlight: 0, maxInFlight: 8 }))
      const left = backends.filter((_, index) => index !== leaves)
      for (const task of tasks) {
        const before = chooseBackend(backends, task)!
        if (left.includes(before)) expect(chooseBackend(left, task)).toBe(before)
      }
    }),
  )
})

test('who waits is served in order, interactive before batch, and batch by its share', async () => {
  const { pool } = harness([spec('a')])
  const order: string[] = []
  const first = (await pool.acquire(wanted()))!
  const queue = async (name: string, priority: StepPriority) => {
    const backend = await pool.acquire(wanted({ priority }))
    order.push(name)
    pool.release(backend!, priority)
  }
  const all = ['b1', 'b2'].map((name) => queue(name, 'batch'))
  all.push(...['i1', 'i2', 'i3', 'i4', 'i5'].map((name) => queue(name, 'interactive')))
  // Time that passes without a free slot earns nobody anything.
  for (let i = 0; i < 20; i++) pool.tick()
  pool.release(first, 'interactive')
  await Promise.all(all)
  expect(order.filter((name) => name.startsWith('i'))).toEqual(['i1', 'i2', 'i3', 'i4', 'i5'])
  expect(order.indexOf('b1')).toBe(3)
  expect(order.indexOf('b2')).toBeGreaterThan(order.indexOf('b1'))
})

test('one who may not have the free backend holds up no other', async () => {
  const { pool } = harness([spec('a'), spec('b')])
  const a = (await pool.acquire(wanted({ permits: ({ id }) => id === 'a' })))!
  const onlyA = pool.acquire(wanted({ permits: ({ id }) => id === 'a' }))
  const other = pool.acquire(wanted())
  pool.tick()
  expect((await other)!.id).toBe('b')
  pool.release(a, 'interactive')
  expect((await onlyA)!.id).toBe('a')
})

test('I2: permission is asked when a backend is given, not when the step began to wait', async () => {
  const { pool } = harness([spec('a')])
  const held = (await pool.acquire(wanted()))!
  let region = 'eu'
  const waiting = pool.acquire(wanted({ permits: (place) => place.region === region }))
  region = 'us'
  pool.release(held, 'interactive')
  expect(pool.waiting()).toBe(1)
  pool.apply([spec('a', { region: 'us' })])
  expect((await waiting)!.region).toBe('us')
})

test('a step is sent away when every backend it could have was ejected for its wait, not when they are only full', async () => {
  const { pool, at } = harness([spec('a')])
  const held = (await pool.acquire(wanted()))!
  const waiting = pool.acquire(wanted())
  at(60_000)
  pool.tick()
  expect(pool.waiting()).toBe(1)
  for (let i = 0; i < 3; i++) held.health.failed(0)
  pool.tick()
  at(61_000)
  pool.tick()
  expect(await waiting).toBeNull()
})

test('the one that just failed is taken only where there is no other', async () => {
  const { pool } = harness([spec('a', { maxInFlight: 2 }), spec('b', { maxInFlight: 2 })])
  for (let i = 0; i < 2; i++) expect((await pool.acquire(wanted({ avoid: 'a' })))!.id).toBe('b')
  const third = pool.acquire(wanted({ avoid: 'a' }))
  pool.apply([spec('a', { maxInFlight: 2 })])
  expect((await third)!.id).toBe('a')
})

test('a waiter that gives up leaves the queue', async () => {
  const { pool } = harness([spec('a')])
  await pool.acquire(wanted())
  const cancel = new AbortController()
  const waiting = pool.acquire(wanted({ signal: cancel.signal }))
  cancel.abort(new Error('given up'))
  await expect(waiting).rejects.toThrow('given up')
  expect(pool.waiting()).toBe(0)
})

test('a policy keeps the health and the calls of the backends that stay', async () => {
  const { pool } = harness([spec('a', { maxInFlight: 2 })])
  await pool.acquire(wanted())
  pool.apply([spec('a', { maxInFlight: 9 }), spec('b')])
  expect(pool.backends().map(({ id, inFlight, maxInFlight }) => [id, inFlight, maxInFlight])).toEqual([
    ['a', 1, 9],
    ['b', 0, 1],
  ])
})

/** Takes slots at once, for as many as there are. */
async function grab(pool: Pool, priority: StepPriority, times: number): Promise<Backend[]> {
  const given: Backend[] = []
  for (let i = 0; i < times; i++) void pool.acquire(wanted({ priority })).then((backend) => given.push(backend!))
  await settled()
  return given
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('a backend full of batch calls has room for an interactive one', async () => {
  const { pool } = harness([spec('a', { maxInFlight: 4 }), spec('b', { maxInFlight: 1 })], 250_000, 250_000)
  expect(await grab(pool, 'batch', 9)).toHaveLength(4)
  const [backend] = await grab(pool, 'interactive', 1)
  expect(backend).toMatchObject({ id: 'a', inFlight: 4, batchInFlight: 3 })
  // The slot that it leaves stays free for the next.
  pool.release(backend!, 'interactive')
  await settled()
  expect(pool.waiting()).toBe(5)
  expect(await grab(pool, 'interactive', 1)).toHaveLength(1)
})

test('batch steps get their share of a backend that is never without interactive ones, whatever the reserve', () => {
  const scene = record({
    maxInFlight: integer({ min: 1, max: 6 }),
    sharePpm: integer({ min: 10_000, max: 990_000 }),
    reservePpm: integer({ min: 0, max: 900_000 }),
    ends: array(nat(), { minLength: 300, maxLength: 300 }),
  })
  return assert(
    asyncProperty(scene, async ({ maxInFlight, sharePpm, reservePpm, ends }) => {
      const { pool } = harness([spec('a', { maxInFlight })], sharePpm, reservePpm)
      const running: { backend: Backend; priority: StepPriority }[] = []
      const started = { interactive: 0, batch: 0 }
      const want = (priority: StepPriority) =>
        void (async () => {
          const backend = await pool.acquire(wanted({ priority }))
          running.push({ backend: backend!, priority })
          started[priority] += 1
        })()
      for (let i = 0; i < 8; i++) {
        want('interactive')
        want('batch')
      }
      await settled()
      for (const end of ends) {
        const [ended] = running.splice(end % running.length, 1)
        want(ended!.priority)
        pool.release(ended!.backend, ended!.priority)
        await settled()
        expect(running).toHaveLength(maxInFlight)
      }
      expect(started.batch).toBeGreaterThan(0)
      expect(started.interactive).toBeGreaterThan(0)
    }),
    { numRuns: 30 },
  )
})

test('tenants take turns: one with hundreds of waiting steps does not hold up the one step of another', async () => {
  const { pool } = harness([spec('a')])
  const order: string[] = []
  const first = (await pool.acquire(wanted()))!
  const queue = async (tenantId: string, name: string) => {
    const backend = await pool.acquire(wanted({ tenantId }))
    order.push(name)
    pool.release(backend!, 'interactive')
  }
  const all = Array.from({ length: 300 }, (_, i) => queue('burst', `burst-${i}`))
  all.push(queue('quiet', 'quiet-0'), queue('other', 'other-0'), queue('quiet', 'quiet-1'))
  pool.release(first, 'interactive')
  await Promise.all(all)
  expect(order.slice(0, 5)).toEqual(['burst-0', 'quiet-0', 'other-0', 'burst-1', 'quiet-1'])
  expect(order.filter((name) => name.startsWith('burst'))).toEqual(Array.from({ length: 300 }, (_, i) => `burst-${i}`))
})
