import { inNamespace } from '#lib/events/topics'

/**
 * Names of what the ledger keeps of a tenant. All bear the tenant's hash tag, so that one script may touch them together
 * on a Redis Cluster. A tenant's id holds no brace (policy schema).
 */
export function ledgerKeys(namespace: string) {
  const key = (tenantId: string, part: string) => inNamespace(namespace, `{${tenantId}}:${part}`)
  return {
    /** Hash: generation, and what is true of the tenant as a whole. Missing: this tenant's ledger is lost. */
    ledger: (tenantId: string) => key(tenantId, 'ledger'),
    /** Hash: highest offset that is folded in, by topic/partition. */
    applied: (tenantId: string) => key(tenantId, 'applied'),
    /** Hash: cap, settled, reserved (micro-USD) and steps of a task. */
    task: (tenantId: string, taskId: string) => key(tenantId, `task:${taskId}`),
    /** Hash: settled and reserved (micro-USD) of a UTC day. */
    day: (tenantId: string, day: string) => key(tenantId, `day:${day}`),
    /**
     * Hash: what each attempt of a step holds. By the step's own record, since a stepId may come again once its dedupe
     * window is over.
     */
    step: (tenantId: string, origin: string) => key(tenantId, `step:${origin}`),
    /** Failures and successes of a task, tool, kind or model. */
    failures: (tenantId: string, subject: string) => key(tenantId, `failures:${subject}`),
    /** What answered a step, until a caller's verdict on it may have come. */
    answered: (tenantId: string, stepId: string) => key(tenantId, `answered:${stepId}`),
    claim: (tenantId: string, stepId: string) => key(tenantId, `claim:${stepId}`),
    /** What a frontier model answered when the step was recorded; in a replay alone, until the step has its result there. */
    recorded: (tenantId: string, stepId: string) => key(tenantId, `recorded:${stepId}`),
  }
}

/** The UTC day that money is counted on, such as 20261125. */
export function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10).replaceAll('-', '')
}
