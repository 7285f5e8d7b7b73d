import { describe, expect, test } from 'vitest'
import { readOrder } from '#lib/control/orders'
import { standingOf, type OrderedStep } from '#lib/control/standing'
import { makeOrder } from './make-order.ts'

const step: OrderedStep = {
  tenantId: 'acme',
  taskId: 'a/b',
  batchId: 'night',
  publishedAtMs: 900,
  call: { tier: 'frontier', model: 'big' },
}
const inForce = (...names: string[]) => new Map(names.map((name) => [name, readOrder(makeOrder(name))!]))
const standing = (names: string[], more: Partial<OrderedStep> = {}) =>
  standingOf(inForce(...names), { ...step, ...more }).is

describe('a pause', () => {
  test('of the frontier holds what is about to be called there, and nothing else', () => {
    expect(standing(['pause/frontier'])).toBe('paused')
    expect(standing(['pause/frontier'], { call: { tier: 'oss', model: 'open' } })).toBe('free')
    expect(standing(['pause/frontier'], { call: null })).toBe('free')
  })

  test('of a model holds its calls, of either tier', () => {
    expect(standing(['pause/model/big'])).toBe('paused')
    expect(standing(['pause/model/big'], { call: { tier: 'oss', model: 'big' } })).toBe('paused')
    expect(standing(['pause/model/other'])).toBe('free')
  })

  test('of a tenant holds its steps, decided or not', () => {
    expect(standing(['pause/tenant/acme'], { call: null })).toBe('paused')
    expect(standing(['pause/tenant/acme'])).toBe('paused')
    expect(standing(['pause/tenant/globex'])).toBe('free')
  })
})

describe('a cancel', () => {
  test.each(['cancel/tenant/acme', 'cancel/task/acme/a/b', 'cancel/batch/acme/night'])('ends its steps: %s', (name) => {
    expect(standing([name])).toBe('cancelled')
    expect(standing([name], { call: null })).toBe('cancelled')
  })

  test.each(['cancel/tenant/globex', 'cancel/task/acme/a', 'cancel/task/globex/a/b', 'cancel/batch/acme/a/b'])(
    'ends no other: %s',
    (name) => expect(standing([name])).toBe('free'),
  )

  test('ends what was published up to its time, and leaves what came later', () => {
    expect(standing(['cancel/tenant/acme'], { publishedAtMs: 1_000 })).toBe('cancelled')
    expect(standing(['cancel/tenant/acme'], { publishedAtMs: 1_001 })).toBe('free')
    expect(standing(['cancel/tenant/acme'], { publishedAtMs: -1 })).toBe('cancelled')
  })

  test('goes before a pause, and one of an earlier time leaves the pause', () => {
    const both = ['pause/tenant/acme', 'cancel/tenant/acme']
    expect(standing(both)).toBe('cancelled')
    expect(standing(both, { publishedAtMs: 2_000 })).toBe('paused')
  })

  test('of a batch leaves steps of none', () => {
    expect(standing(['cancel/batch/acme/null'], { batchId: null })).toBe('free')
  })
})
