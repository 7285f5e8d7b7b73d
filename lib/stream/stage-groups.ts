import { inNamespace, type Topic } from '#lib/events/topics'
import type { LaneClass } from './capacity.ts'

/** What each service reads. A lane, a committed offset and a marker stand for each partition of each. */
export const stageGroups = {
  classifier: ['agent.steps', 'agent.steps.reroute', 'agent.steps.batch', 'agent.steps.reroute.batch'],
  'oss-pool': ['agent.steps.oss', 'agent.steps.oss.batch'],
  frontier: ['agent.steps.frontier', 'agent.steps.frontier.batch'],
  ledger: ['agent.audit', 'agent.feedback', 'agent.control'],
} as const satisfies Record<string, readonly Topic[]>
export type StageGroup = keyof typeof stageGroups
export const stageGroupNames = Object.keys(stageGroups) as StageGroup[]

/** Group, topics and control topic of a service's stage, as createStage() takes them. */
export function stageSources(
  namespace: string,
  group: StageGroup,
): { group: string; topics: { name: string; lane: LaneClass }[]; controlTopic: string } {
  return {
    group: inNamespace(namespace, group),
    topics: stageGroups[group].map((topic) => ({
      name: inNamespace(namespace, topic),
      lane: topic.endsWith('.batch') ? 'batch' : 'interactive',
    })),
    controlTopic: inNamespace(namespace, 'agent.control'),
  }
}
