import { expect, test } from 'vitest'
import { expectExactlyOnce } from './exactly-once.ts'

const step = (stepId: string, tenantId = 'acme') => ({ stepId, tenantId })

test('one result each passes, in any order', () => {
  expect(() => expectExactlyOnce([step('a'), step('b')], [step('b'), step('a')])).not.toThrow()
  expect(() => expectExactlyOnce([], [])).not.toThrow()
})

test('names steps without a result', () => {
  expect(() => expectExactlyOnce([step('a'), step('b')], [step('b')])).toThrow(/1 without a result: acme\/a;/)
})

test('names steps with several results, and how many', () => {
  const results = [step('a'), step('b'), step('a'), step('a')]
  expect(() => expectExactlyOnce([step('a'), step('b')], results)).toThrow(/1 doubled: acme\/a \(3 times\);/)
})

test('names results of steps that nobody published', () => {
  expect(() => expectExactlyOnce([step('a')], [step('a'), step('x')])).toThrow(/1 never published: acme\/x;/)
})

test('tells tenants apart', () => {
  const published = [step('a'), step('a', 'other')]
  expect(() => expectExactlyOnce(published, [step('a', 'other'), step('a')])).not.toThrow()
  expect(() => expectExactlyOnce(published, [step('a'), step('a')])).toThrow(/without a result: other\/a; 1 doubled/)
})
