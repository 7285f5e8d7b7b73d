import { expect, test } from 'vitest'
import { budgetOrderName, readBudgetOrder } from '#lib/ledger/budget-order'

test('an order for a cap is read back, whatever is in the ids', () => {
  for (const taskId of [null, 'k', 'a/b', 'käse 1']) {
    const order = { tenantId: 'acme', taskId, capMicroUsd: 5 }
    expect(readBudgetOrder({ name: budgetOrderName(order), value: JSON.stringify(order) })).toEqual(order)
  }
  const names = [null, 'day', 'a/b', 'a'].map((taskId) => budgetOrderName({ tenantId: 'acme', taskId }))
  expect(new Set(names).size).toBe(4)
})

test.each([
  ['another order', 'policy', '{"hash":"x"}'],
  ['no JSON', 'budget/acme/day', 'x'],
  ['a negative cap', 'budget/acme/day', '{"tenantId":"acme","taskId":null,"capMicroUsd":-1}'],
  ['half a micro-dollar', 'budget/acme/day', '{"tenantId":"acme","taskId":null,"capMicroUsd":0.5}'],
  ['no tenant', 'budget/acme/day', '{"taskId":null,"capMicroUsd":1}'],
])('%s is none', (_what, name, value) => {
  expect(readBudgetOrder({ name, value })).toBeNull()
})
