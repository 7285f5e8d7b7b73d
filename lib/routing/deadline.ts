import type { Policy } from '#lib/policy/schema'

interface Timed {
  /** As published; null: the policy's default. */
  deadlineAtMs: number | null
  /** Timestamp of the step's own record. Not above 0 where the producer set none. */
  receivedAtMs: number
  priority: string
}

/** Epoch milliseconds at which a step expires: its own deadline, or the policy's time from when it was published. */
export function deadlineOf(step: Timed, policy: Pick<Policy, 'limits'>): number {
  if (step.deadlineAtMs !== null) return step.deadlineAtMs
  if (step.receivedAtMs <= 0) return Infinity
  const { batchDeadlineMs, defaultDeadlineMs } = policy.limits
  return step.receivedAtMs + (step.priority === 'batch' ? batchDeadlineMs : defaultDeadlineMs)
}
