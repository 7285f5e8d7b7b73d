import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cancelName, orderValue, pauseName, readOrder } from '#lib/control/orders'
import { makeOrder } from './make-order.ts'

describe('an order', () => {
  test('is read with who gave it and why', () => {
    const order = makeOrder('pause/frontier', { actor: 'ann', reason: 'price spike' })
    expect(readOrder(order)).toEqual({
      name: 'pause/frontier',
      kind: 'pause',
      stands: true,
      orderId: 'o-1',
      actor: 'ann',
      reason: 'price spike',
      atMs: 1_000,
    })
  })

  test.each(['policy', 'topics/g/t/0', 'budget/acme', 'paused'])('of another family is none of ours: %s', (name) => {
    expect(readOrder(makeOrder(name, { value: 'whatever' }))).toBeNull()
  })

  test.each([
    'pause/',
    'pause/frontier/x',
    'pause/tenant',
    'pause/tenant/',
    'pause/tenant/a b',
    'pause/tenant/a/b',
    'pause/model/Not A Model',
    'pause/model/m/n',
    'pause/task/acme/t',
    'cancel/',
    'cancel/tenant/a/b',
    'cancel/task/acme',
    'cancel/task/acme/',
    'cancel/batch//b',
    'cancel/step/acme/s',
  ])('whose name names nothing is not followed: %s', (name) => {
    expect(() => readOrder(makeOrder(name))).toThrow(expect.objectContaining({ code: 'SHUNT_ORDER_INVALID' }))
  })

  test.each(['', 'null', '[]', 'true', '{}', '{"paused":"yes"}', '{"cancelled":true}', '{"paused":true'])(
    'whose value says nothing is not followed: %s',
    (value) => {
      const order = makeOrder('pause/tenant/acme', { value })
      expect(() => readOrder(order)).toThrow(expect.objectContaining({ code: 'SHUNT_ORDER_INVALID' }))
    },
  )

  test.each([0, -1, Number.NaN, Infinity, 2 ** 60])('without a time is not followed: %s', (atMs) => {
    expect(() => readOrder(makeOrder('cancel/tenant/acme', { atMs }))).toThrow('bears no time')
  })

  test('with a field of a later release is followed', () => {
    expect(readOrder(makeOrder('pause/frontier', { value: '{"paused":false,"later":1}' }))).toMatchObject({
      stands: false,
    })
  })

  test('never makes the reader fail with anything but its code', () => {
    const parts = fc.oneof(fc.constantFrom('pause', 'cancel', 'tenant', 'task', 'frontier', 'acme', ''), fc.string())
    const names = fc.array(parts, { maxLength: 5 }).map((all) => all.join('/'))
    fc.assert(
      fc.property(names, fc.oneof(fc.json(), fc.string()), fc.double(), (name, value, atMs) => {
        try {
          readOrder(makeOrder(name, { value, atMs }))
        } catch (error) {
          expect(error).toMatchObject({ code: 'SHUNT_ORDER_INVALID' })
        }
      }),
    )
  })
})

test('what the names are made of is what is read; a task may have a / in its id', () => {
  const names = [
    pauseName({ of: 'frontier' }),
    pauseName({ of: 'tenant', id: 'acme' }),
    pauseName({ of: 'model', id: 'gpt-5.5' }),
    cancelName({ of: 'tenant', tenantId: 'acme' }),
    cancelName({ of: 'task', tenantId: 'acme', id: 'claims/2026 #4' }),
    cancelName({ of: 'batch', tenantId: 'acme', id: 'night' }),
  ]
  for (const name of names)
    for (const stands of [true, false]) {
      const kind = name.startsWith('pause') ? 'pause' : 'cancel'
      expect(readOrder(makeOrder(name, { value: orderValue(kind, stands) }))).toMatchObject({ name, kind, stands })
    }
})
