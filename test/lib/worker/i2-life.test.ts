import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import type { AgentStep, DecisionOutcome, StepFacts } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { decide } from '#lib/routing/decide'
import { whyNotPermitted } from '#lib/worker/permits'
import { anyFacts, anyPolicy, anySnapshot } from '../routing/arbitraries.ts'
import { failed } from '../routing/make-facts.ts'

// Many cases on a machine that may be slow: a limit for what hangs.
vi.setConfig({ testTimeout: 180_000 })

const policies = 1_000
const stepsEach = 100

type Limits = Pick<StepFacts, 'allowedRegions' | 'requiredTags' | 'frontierAllowed'>

interface Server {
  region: string
  complianceTags: readonly string[]
  tier: 'oss' | 'frontier'
}

/** Backend or provider of a model by a policy's file; undefined where it serves another. */
function serverOf(policy: CompiledPolicy, model: string, id: string): Server | undefined {
  const backend = policy.backends.find((each) => each.id === id && each.model === model)
  if (backend) return { ...backend, tier: 'oss' }
  const provider = policy.providers.find((each) => each.id === id && each.models.includes(model))
  return provider && { ...provider, tier: 'frontier' }
}

/** Read from the files alone, without the code that decides or permits. */
function mayGo(policy: CompiledPolicy, { tenantId, ...step }: Limits & { tenantId: string }, server: Server): boolean {
  const tenant = policy.tenants.find(({ id }) => id === tenantId)
  if (!tenant) return false
  if (server.tier === 'frontier' && (policy.airGapped || !tenant.frontierAllowed || !step.frontierAllowed)) return false
  return [tenant, step].every(
    ({ allowedRegions, requiredTags }) =>
      (allowedRegions?.includes(server.region) ?? true) &&
      requiredTags.every((tag) => server.complianceTags.includes(tag)),
  )
}

/** Where the step would be called: the worker asks for each place of the model under both policies. */
function callable(outcome: DecisionOutcome, facts: StepFacts, inForce: CompiledPolicy, decided: CompiledPolicy) {
  const { allowedRegions, requiredTags, frontierAllowed, tenantId } = facts
  const constraints: AgentStep['constraints'] = { allowedRegions, requiredTags, frontierAllowed, critical: [] }
  const places = [decided, inForce].flatMap((policy) => policy.index.models.get(outcome.model!)?.places ?? [])
  return places.filter(
    (place) => whyNotPermitted({ tenantId, constraints }, outcome.model!, place, inForce, decided) === null,
  )
}

test('I2: through policies that change, forged tenants, failures, budgets and re-routes, no place that either policy forbids is ever called', () => {
  let called = 0
  const life = fc.tuple(anyFacts, anySnapshot)
  fc.assert(
    fc.property(
      anyPolicy,
      anyPolicy,
      fc.array(life, { minLength: stepsEach, maxLength: stepsEach }),
      (decided, inForce, lives) => {
        for (const [facts, snapshot] of lives) {
          let facing = facts
          // Each answer is found to be weak, until the step ends.
          for (let attempt = 0; attempt < 4; attempt++) {
            const outcome = decide(facing, snapshot, decided)
            if (outcome.action !== 'route') break
            for (const place of callable(outcome, facing, inForce, decided)) {
              called += 1
              // As it will be called, and as either policy has it: a pool may still work by the policy before.
              const now = serverOf(inForce, outcome.model!, place.id)!
              const then = serverOf(decided, outcome.model!, place.id)
              const allowed =
                mayGo(inForce, facts, place) &&
                mayGo(inForce, facts, now) &&
                mayGo(decided, facts, place) &&
                (then === undefined || mayGo(decided, facts, then))
              if (!allowed) expect.fail(`called ${place.id} for ${JSON.stringify(facts)}`)
            }
            facing = { ...facing, priorAttempts: [...facing.priorAttempts, failed(outcome.model!)] }
          }
        }
      },
    ),
    { numRuns: policies },
  )
  expect(called).toBeGreaterThan((policies * stepsEach) / 4)
})
