import * as fc from 'fast-check'
import { maxExactLong } from '#lib/events/avro-bounds'
import { stepKinds } from '#lib/policy/schema'
import type { AgentStep } from '#lib/events/types.generated'

const text = fc.string({ unit: 'binary', maxLength: 200 })
const nullable = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null })

/** Any step that Avro can write, sensible or not. */
export const anyStep: fc.Arbitrary<AgentStep> = fc.record({
  stepId: text,
  taskId: text,
  tenantId: text,
  sequence: nullable(fc.integer()),
  kind: fc.constantFrom(...stepKinds),
  request: fc.oneof(text, fc.json()),
  constraints: fc.record({
    allowedRegions: nullable(fc.array(text, { maxLength: 4 })),
    requiredTags: fc.array(text, { maxLength: 4 }),
    frontierAllowed: fc.boolean(),
    critical: fc.array(text, { maxLength: 4 }),
  }),
  taskBudgetMicroUsd: nullable(fc.integer({ min: -maxExactLong, max: maxExactLong })),
  deadlineAtMs: nullable(fc.integer({ min: -maxExactLong, max: maxExactLong })),
  priority: fc.constantFrom('interactive', 'batch'),
  batchId: nullable(text),
  // An object cannot take `__proto__` by assignment, which is how avsc fills a map; validation refuses that key.
  metadata: fc.dictionary(
    text.filter((key) => key !== '__proto__'),
    text,
    { maxKeys: 5, noNullPrototype: true },
  ),
})
