import { formatOrigin } from '#lib/audit/records'
import { openRequest, openStep, type Keys } from '#lib/erasure/step-texts'
import type { Codec } from '#lib/events/codec'
import { inNamespace, outOfNamespace, twinFor, type Topic } from '#lib/events/topics'
import type { AgentStep, ControlOrder, RoutedStep, StepFeedback } from '#lib/events/types.generated'
import { validateFeedback } from '#lib/events/validate-feedback'
import { ShuntError } from '#lib/errors'
import type { Claims } from '#lib/ledger/claims'
import type { Policy } from '#lib/policy/schema'
import type { DeadLetter } from './dead-letter.ts'
import { decodeLetter } from './decode-letter.ts'
import { requeueOrderName, type RequeuedStep } from './requeue-orders.ts'

export interface PlanDeps {
  codec: Pick<Codec, 'decode'>
  namespace: string
  keys: Keys
  claims: Pick<Claims, 'holder'>
  /** In force now: what was invalid under another may be valid under this one. Undefined: none is. */
  policy: Pick<Policy, 'request' | 'tenants'> | undefined
  /** Requeue orders by name. */
  orders: ReadonlyMap<string, ControlOrder>
}

/** What will be done with a letter, and what comes of it, in words for the one who orders it. */
export type RequeuePlan =
  | {
      action: 'requeue'
      /** With its namespace. */
      topic: string
      because: string
      /** Origin of the step that a result may have ended already: such a one must not get a second. */
      endedWith: string | null
      /** The step that is decided again, where that is what comes of it. */
      decidedAgain: RequeuedStep | null
    }
  | { action: 'leave'; because: string }

const leave = (because: string): RequeuePlan => ({ action: 'leave', because })
const stillBad = (problem: Pick<ShuntError, 'code' | 'message'>): RequeuePlan =>
  leave(`its cause is not mended: ${problem.code}: ${problem.message}`)

/**
 * A record goes back only where something can come of it, and never past the classifier:
 *
 * - agent.steps and its twin: to where it was, if it is valid by now and no record holds its stepId. Whatever holds it
 *   would make this one a duplicate or a conflict, without a result of its own.
 * - A routed step: to agent.steps.reroute, so that it is decided anew, with its constraints and under the policy of today.
 *   Refused: back to the tier's own topic, which only the classifier may write.
 * - Feedback: to agent.feedback.
 * - Anything else is written by the services or by an order alone.
 *
 * Throws SHUNT_REGISTRY_UNAVAILABLE, SHUNT_REDIS_UNAVAILABLE and SHUNT_DATA_KEYS_UNAVAILABLE (retryable).
 */
export async function planRequeue(deps: PlanDeps, letter: DeadLetter): Promise<RequeuePlan> {
  const earlier = deps.orders.get(requeueOrderName(letter))
  if (earlier) {
    const at = new Date(earlier.atMs).toISOString()
    return leave(`it was requeued at ${at} by ${earlier.actor}: if it died again, that has a letter of its own`)
  }
  const topic = outOfNamespace(deps.namespace, letter.origin.topic)
  const kind = topic && kindOf(topic)
  if (topic === undefined || kind === undefined) return leave(whyNot(topic, letter.origin.topic))
  const decoded = await decodeLetter(letter, deps)
  if ('problem' in decoded) return stillBad(decoded.problem)
  try {
    if (kind === 'step') return await planStep(deps, letter, decoded.value as AgentStep)
    if (kind === 'routed') return await planRouted(deps, decoded.value as RoutedStep)
    validateFeedback(decoded.value as StepFeedback)
    return {
      action: 'requeue',
      topic: letter.origin.topic,
      because: 'the verdict is counted',
      endedWith: null,
      decidedAgain: null,
    }
  } catch (error) {
    if (error instanceof ShuntError && !error.retryable) return stillBad(error)
    throw error
  }
}

async function planStep(deps: PlanDeps, letter: DeadLetter, step: AgentStep): Promise<RequeuePlan> {
  if (deps.policy) await openStep(deps.keys, step, deps.policy)
  const holder = await deps.claims.holder(step)
  const named = `step ${step.stepId} of tenant ${step.tenantId}`
  if (holder === formatOrigin(letter.origin))
    return leave(`${named} was accepted with this very record and has ended: publish it under a new stepId`)
  if (holder !== null)
    return leave(`${named} was accepted with ${holder}: this record would be a duplicate of it, without a result`)
  return {
    action: 'requeue',
    topic: letter.origin.topic,
    because: deps.policy
      ? `${named} is valid now: it is read anew and gets a result of its own`
      : `${named} is read anew once a policy is in force`,
    endedWith: formatOrigin(letter.origin),
    decidedAgain: null,
  }
}

async function planRouted(deps: PlanDeps, { step, origin }: RoutedStep): Promise<RequeuePlan> {
  if (deps.policy) await openRequest(deps.keys, step, deps.policy)
  return {
    action: 'requeue',
    topic: inNamespace(deps.namespace, twinFor('agent.steps.reroute', step.priority)),
    because: `step ${step.stepId} of tenant ${step.tenantId} has no result yet: it is decided anew`,
    endedWith: formatOrigin(origin),
    decidedAgain: { tenantId: step.tenantId, stepId: step.stepId, origin },
  }
}

/** The plan once it is known how the step of `endedWith` ended, if it did. A rejected record claimed nothing. */
export function settlePlan(plan: RequeuePlan, status: string | undefined): RequeuePlan {
  if (plan.action === 'leave' || status === undefined || status === 'rejected') return plan
  return leave(`its step has ended as ${status}, and gets no second result: publish it under a new stepId`)
}

function kindOf(topic: Topic): 'step' | 'routed' | 'feedback' | undefined {
  if (topic === 'agent.steps' || topic === 'agent.steps.batch') return 'step'
  if (topic.startsWith('agent.steps.')) return 'routed'
  return topic === 'agent.feedback' ? 'feedback' : undefined
}

function whyNot(topic: Topic | undefined, name: string): string {
  if (topic === undefined) return `${name} is no topic of this namespace`
  if (topic === 'agent.control' || topic === 'agent.policies')
    return `give the order again: ${name} takes it from \`shunt\``
  return `only the services may write ${name}`
}
