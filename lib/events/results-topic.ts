import type { Policy } from '#lib/policy/schema'
import { tenantOf } from './tenant.ts'
import { inNamespace } from './topics.ts'

/** Where the results of a tenant are written, with its namespace. */
export type ResultsTopic = (tenantId: string) => string

const common = 'agent.results'

/** The tenant's own topic, as the policy in force says, or the one that all others share. */
export function createResultsTopic(
  policies: { inForce(): { policy: Pick<Policy, 'tenants'> } | undefined },
  namespace: string,
): ResultsTopic {
  return (tenantId) => {
    const policy = policies.inForce()?.policy
    return inNamespace(namespace, (policy && tenantOf(policy, tenantId)?.resultsTopic) ?? common)
  }
}

/** Topics of tenants that a policy names, without namespace, each once. */
export function ownResultsTopics({ tenants }: Pick<Policy, 'tenants'>): string[] {
  return [...new Set(tenants.flatMap(({ resultsTopic }) => resultsTopic ?? []))]
}

/** Whether results lie there: the topic that tenants share, or one of their own. */
export function isResultsTopic(namespace: string, topic: string): boolean {
  const shared = inNamespace(namespace, common)
  return topic === shared || topic.startsWith(`${shared}.`)
}
