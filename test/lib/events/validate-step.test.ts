import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stepFromJson } from '#lib/events/parse-step'
import { tightenConstraints } from '#lib/events/tenant'
import { validateStep } from '#lib/events/validate-step'
import type { PolicyTenant } from '#lib/policy/schema'
import { ShuntError } from '#lib/errors'
import { anyStep } from './arbitrary.ts'

const tenant: PolicyTenant = {
  id: 'acme',
  allowedRegions: null,
  requiredTags: [],
  frontierAllowed: true,
  taskBudgetMicroUsd: null,
  dayBudgetMicroUsd: null,
}
const policy = { request: { unsupportedFields: 'refuse' as const }, tenants: [tenant] }
const minimal = {
  stepId: 's1',
  taskId: 't1',
  tenantId: 'acme',
  request: { messages: [{ role: 'user', content: 'hi' }] },
}
const step = (fields: object = {}) => stepFromJson({ ...minimal, ...fields })

test('a valid step gives its request, parsed', () => {
  expect(validateStep(step(), policy)).toEqual({ request: minimal.request, stripped: [] })
})

describe('ids', () => {
  test.each(['request-1', 'a', 'claim 4711/Größe:{3}', '日本語', 'x'.repeat(256), '👩‍⚕️'.slice(0, 2)])(
    '%s is one',
    (id) => {
      expect(validateStep(step({ stepId: id, taskId: id, batchId: id }), policy).request).toBeDefined()
    },
  )

  test.each([
    ['none', ''],
    ['a blank at the end', 'a '],
    ['a line break', 'a\nb'],
    ['NUL', 'a\u0000'],
    ['a C1 control', 'a\u0085'],
    ['a right-to-left override', 'a\u202Eb'],
    ['a line separator', 'a\u2028b'],
    ['broken UTF-8', 'a\uFFFDb'],
    ['half a surrogate pair', 'a\uD800'],
    ['257 bytes', 'x'.repeat(257)],
    ['129 letters of two bytes', 'ß'.repeat(129)],
  ])('%s is not', (_what, id) => {
    for (const field of ['stepId', 'taskId', 'batchId'])
      expect(() => validateStep(step({ [field]: id }), policy)).toThrow(`${field} must be 1 to 256 bytes`)
  })

  test("a tenant has the policy's form, and is in the policy", () => {
    for (const tenantId of ['', '-acme', 'a/b', 'ä', 'x'.repeat(65)])
      expect(() => validateStep(step({ tenantId }), policy)).toThrow('tenantId must be 1 to 64')
    expect(() => validateStep(step({ tenantId: 'umbrella' }), policy)).toThrow(
      expect.objectContaining({
        code: 'SHUNT_TENANT_UNKNOWN',
        ids: { tenantId: 'umbrella', stepId: 's1', taskId: 't1' },
      }) as Error,
    )
  })
})

describe('limits', () => {
  test.each([
    ['a negative sequence', { sequence: -1 }, 'sequence must not be negative'],
    ['a negative budget', { taskBudgetMicroUsd: -1 }, 'taskBudgetMicroUsd must not be negative'],
    ['a deadline in seconds', { deadlineAtMs: 1_767_225_600 }, 'deadlineAtMs must be a time in epoch milliseconds'],
    ['a deadline in microseconds', { deadlineAtMs: 1_767_225_600_000_000 }, 'epoch milliseconds'],
    ['a region in capitals', { constraints: { allowedRegions: ['EU'] } }, 'constraints.allowedRegions[0] must be'],
    ['a tag with a blank', { constraints: { requiredTags: ['baa', 'hi paa'] } }, 'constraints.requiredTags[1] must be'],
    ['65 regions', { constraints: { allowedRegions: Array.from({ length: 65 }, () => 'eu') } }, 'must be 64 at most'],
    [
      '33 labels',
      { metadata: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, ''])) },
      '32 entries at most',
    ],
    ['a label without a name', { metadata: { '': 'x' } }, 'metadata has the key'],
    ['a long name of a label', { metadata: { ['k'.repeat(65)]: 'x' } }, 'metadata has the key'],
    ['a set of labels without one', { metadata: { 'shunt.labels': 'a,,b' } }, 'metadata.shunt.labels must name labels'],
    ['a long label', { metadata: { k: 'x'.repeat(1_025) } }, 'metadata.k must be 1024 characters at most'],
    ['a request that is not JSON', { request: '{"messages": secret' }, 'request is not JSON'],
    ['a request that is a list', { request: '[]' }, 'request must be a JSON object'],
  ])('%s is invalid', (_what, fields, message) => {
    expect(() => validateStep(step(fields), policy)).toThrow(message)
    expect(() => validateStep(step(fields), policy)).toThrow(
      expect.objectContaining({ name: 'StepParseError', code: 'SHUNT_EVENT_INVALID' }) as Error,
    )
  })

  test('a deadline that has passed is valid: the step expires', () => {
    expect(validateStep(step({ deadlineAtMs: 1_600_000_000_000 }), policy).request).toBeDefined()
  })

  test('any step is valid or a ShuntError', () => {
    const property = fc.property(anyStep, (any) => {
      try {
        validateStep(any, { ...policy, tenants: [{ ...tenant, id: any.tenantId }] })
        return true
      } catch (error) {
        return error instanceof ShuntError
      }
    })
    expect(fc.check(property, { numRuns: 500 }).failed).toBe(false)
  })
})

describe('critical constraints', () => {
  test('those that are known pass', () => {
    const critical = ['allowedRegions', 'requiredTags', 'frontierAllowed', 'taskBudgetMicroUsd', 'deadlineAtMs']
    expect(validateStep(step({ constraints: { critical } }), policy).request).toBeDefined()
  })

  test('one of a later release refuses the step', () => {
    expect(() => validateStep(step({ constraints: { critical: ['requiredTags', 'noTraining'] } }), policy)).toThrow(
      expect.objectContaining({
        code: 'SHUNT_CONSTRAINT_UNKNOWN',
        message: expect.stringContaining('noTraining') as string,
        ids: { tenantId: 'acme', stepId: 's1', taskId: 't1' },
      }) as Error,
    )
  })
})

describe("the tenant's floor", () => {
  const open = { allowedRegions: null, requiredTags: [], frontierAllowed: true }

  test("holds where the step wishes nothing, and the step's wishes hold where there is no floor", () => {
    const floor = { allowedRegions: ['eu'], requiredTags: ['baa'], frontierAllowed: false }
    expect(tightenConstraints(open, floor)).toEqual(floor)
    expect(tightenConstraints(floor, open)).toEqual(floor)
    expect(tightenConstraints(open, open)).toEqual(open)
  })

  test('and wishes that have no region in common leave none', () => {
    const eu = { ...open, allowedRegions: ['eu'] }
    expect(tightenConstraints({ ...open, allowedRegions: ['us'] }, eu).allowedRegions).toEqual([])
    expect(tightenConstraints({ ...open, allowedRegions: [] }, open).allowedRegions).toEqual([])
  })

  test('is never loosened, whatever a step wishes', () => {
    const names = fc.array(fc.constantFrom<string[]>('a', 'b', 'c', 'd'))
    const any = fc.record({
      allowedRegions: fc.option(names, { nil: null }),
      requiredTags: names,
      frontierAllowed: fc.boolean(),
    })
    const property = fc.property(any, any, (wished, floor) => {
      const both = tightenConstraints(wished, floor)
      return [wished, floor].every(
        (one) =>
          (one.allowedRegions === null ||
            both.allowedRegions!.every((region) => one.allowedRegions!.includes(region))) &&
          one.requiredTags.every((tag) => both.requiredTags.includes(tag)) &&
          (one.frontierAllowed || !both.frontierAllowed),
      )
    })
    expect(fc.check(property).failed).toBe(false)
  })
})
