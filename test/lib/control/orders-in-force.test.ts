import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createOrdersInForce } from '#lib/control/orders-in-force'
import type { OrderedStep } from '#lib/control/standing'
import { makeOrder } from './make-order.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_000 }))
afterEach(() => void vi.useRealTimers())

const step: OrderedStep = {
  tenantId: 'acme',
  taskId: 't',
  batchId: null,
  publishedAtMs: 900,
  call: { tier: 'frontier', model: 'big' },
}
const resume = { value: '{"paused":false}' }

function view() {
  const errors: unknown[] = []
  const log = { info() {}, error: (line: { err: { code?: string } }) => void errors.push(line.err.code) }
  const orders = createOrdersInForce({ nowMs: Date.now, log: log as never })
  return { orders, errors }
}

test('the last order of a name is in force, and one that cannot be followed leaves what stood', () => {
  const { orders, errors } = view()
  orders.take(makeOrder('pause/frontier'))
  orders.take(makeOrder('pause/frontier', { value: 'broken' }))
  orders.take(makeOrder('policy', { value: '{"hash":"x"}' }))
  expect(orders.standing(step)).toMatchObject({ is: 'paused', by: { reason: 'of the test' } })
  expect(errors).toEqual(['SHUNT_ORDER_INVALID'])
  orders.take(makeOrder('pause/frontier', resume))
  expect([orders.standing(step).is, orders.list()]).toEqual(['free', []])
})

test('a held step comes again, once, when nothing pauses it any more', () => {
  const { orders } = view()
  orders.take(makeOrder('pause/frontier'))
  orders.take(makeOrder('pause/tenant/acme'))
  const held = orders.of(step, 60_000).held()
  expect(held).toMatchObject({ code: 'SHUNT_PAUSED', retryable: true })
  const again = vi.fn<() => void>()
  held.hold(again)
  orders.take(makeOrder('pause/frontier', resume))
  orders.take(makeOrder('pause/model/other'))
  expect(again).not.toHaveBeenCalled()
  orders.take(makeOrder('pause/tenant/acme', resume))
  expect(again).toHaveBeenCalledTimes(1)
  orders.take(makeOrder('pause/tenant/acme'))
  orders.take(makeOrder('pause/tenant/acme', resume))
  vi.advanceTimersByTime(100_000)
  expect(again).toHaveBeenCalledTimes(1)
})

test('and when it is cancelled, at its deadline, or at once where the order was ended meanwhile; but not once given up', () => {
  const { orders } = view()
  const again = vi.fn<(why: string) => void>()
  const hold = (why: string, untilMs = Infinity) =>
    orders
      .of(step, untilMs)
      .held()
      .hold(() => again(why))
  orders.take(makeOrder('pause/frontier'))
  hold('given up')()
  hold('deadline', 3_000)
  vi.advanceTimersByTime(1_999)
  expect(again).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(again.mock.calls).toEqual([['deadline']])
  const late = orders.of(step, Infinity).held()
  hold('cancelled')
  orders.take(makeOrder('cancel/task/acme/t'))
  expect(again.mock.calls).toEqual([['deadline'], ['cancelled']])
  late.hold(() => again('late'))
  vi.advanceTimersByTime(0)
  expect(again.mock.calls).toEqual([['deadline'], ['cancelled'], ['late']])
})
