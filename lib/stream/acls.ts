import { inNamespace, topicNames, type Topic } from '#lib/events/topics'
import { stageGroupNames, stageGroups } from './stage-groups.ts'

/**
 * Who there is, as Kafka sees it: each should have a principal of its own.
 *
 * - `operator` gives orders, requeues dead letters, and reads everything (`shunt`).
 * - `administrator` runs `shunt topics apply` and `shunt lanes recover`, which write in the lanes' stead: nobody needs it
 *   from day to day.
 */
export const roles = [
  'publisher',
  'classifier',
  'oss-pool',
  'frontier',
  'ledger',
  'operator',
  'administrator',
  'auditor',
] as const
export type Role = (typeof roles)[number]

const services = ['classifier', 'oss-pool', 'frontier', 'ledger'] as const satisfies Role[]
const workers = ['oss-pool', 'frontier'] as const satisfies Role[]

interface TopicAccess {
  write: readonly Role[]
  read: readonly Role[]
}

/** Both twins of a flow have the same. The administrator has every topic. */
const access = {
  'agent.steps': {
    // The classifier moves a step to its twin, an operator requeues one.
    write: ['publisher', 'classifier', 'operator'],
    read: ['classifier', 'operator', 'auditor'],
  },
  // An operator requeues a routed step here alone, so that the classifier decides it anew.
  'agent.steps.reroute': { write: [...workers, 'operator'], read: ['classifier', 'operator'] },
  'agent.steps.oss': { write: ['classifier'], read: ['oss-pool', 'operator'] },
  'agent.steps.frontier': { write: ['classifier'], read: ['frontier', 'operator'] },
  'agent.results': { write: ['classifier', ...workers], read: ['publisher', 'operator', 'auditor'] },
  'agent.audit': { write: services, read: ['ledger', 'operator', 'auditor'] },
  'agent.feedback': { write: ['publisher', 'operator'], read: ['ledger', 'operator', 'auditor'] },
  'agent.control': { write: ['operator'], read: [...services, 'operator', 'auditor'] },
  'agent.policies': { write: ['operator'], read: [...services, 'operator', 'auditor'] },
  'agent.deadletter': { write: services, read: ['operator', 'auditor'] },
} as const satisfies Record<Exclude<Topic, `${string}.batch`>, TopicAccess>

function accessOf(topic: Topic): TopicAccess {
  return access[topic.replace(/\.batch$/, '') as keyof typeof access]
}

export type AclOperation = 'Read' | 'Write' | 'Create' | 'Alter' | 'Describe' | 'Delete'
export type AclResource = 'topic' | 'group' | 'transactional-id'

/** What a principal may do: the operations, on each of the names or on all that begin with one. */
export interface Acl {
  resource: AclResource
  operations: readonly AclOperation[]
  prefixed: boolean
  names: readonly string[]
}

export interface AclOptions {
  /** Of a tenant, without namespace: a publisher may read this one in place of agent.results. */
  resultsTopic?: string | undefined
}

/**
 * Everything that a role needs, and no more. Throw-away groups are read and deleted by their prefix: those of `shunt` and
 * of the client begin with `shunt-`, those of a service with its namespace.
 */
export function aclsOf(role: Role, namespace: string, { resultsTopic = 'agent.results' }: AclOptions = {}): Acl[] {
  const name = (bare: string): string => inNamespace(namespace, bare)
  const topicsWhere = (may: 'read' | 'write'): string[] =>
    topicNames
      .filter((topic) => accessOf(topic)[may].includes(role))
      .map((topic) => name(role === 'publisher' && topic === 'agent.results' ? resultsTopic : topic))
  const literal = (resource: AclResource, operations: AclOperation[], names: string[]): Acl => ({
    resource,
    operations,
    prefixed: false,
    names,
  })
  const prefixed = (resource: AclResource, operations: AclOperation[], names: string[]): Acl => ({
    ...literal(resource, operations, names),
    prefixed: true,
  })
  const ofClients = prefixed('group', ['Read', 'Delete'], ['shunt-'])
  const ofLedger = ['ledger-rebuild-', ...stageGroups.ledger.map((topic) => `${topic}-behind-`)].map(name)
  const markers = `${name('agent.control')}.markers-`
  // Of tenants, present and to come: a publisher has its own alone.
  const ofTenants = (may: 'read' | 'write'): string[] =>
    role !== 'publisher' && access['agent.results'][may].some((each) => each === role) ? [name('agent.results.')] : []
  const ofTopics = [
    literal('topic', ['Read'], topicsWhere('read')),
    literal('topic', ['Write'], topicsWhere('write')),
    prefixed('topic', ['Read'], ofTenants('read')),
    prefixed('topic', ['Write'], ofTenants('write')),
  ].filter(({ names }) => names.length > 0)

  switch (role) {
    case 'publisher':
      return [...ofTopics, ofClients]
    case 'auditor':
      // Heads of the chains are in the lanes' offset commits, which tell nothing of what the topics hold.
      return [
        ...ofTopics,
        literal('topic', ['Describe'], [...new Set(Object.values(stageGroups).flat())].map(name)),
        literal('group', ['Describe'], stageGroupNames.map(name)),
        ofClients,
      ]
    case 'operator':
      return [
        ...ofTopics,
        literal('group', ['Describe'], stageGroupNames.map(name)),
        prefixed('group', ['Read', 'Delete'], ['shunt-', name('policy-store-'), name('ledger-rebuild-')]),
        prefixed('transactional-id', ['Write'], [name('requeue.')]),
      ]
    case 'administrator':
      return [
        prefixed('topic', ['Create', 'Alter', 'Read', 'Write'], [name('agent.')]),
        literal('group', ['Read'], stageGroupNames.map(name)),
        prefixed('group', ['Read', 'Delete'], ['shunt-', markers]),
        prefixed(
          'transactional-id',
          ['Write'],
          stageGroupNames.map((group) => `${name(group)}.`),
        ),
      ]
    case 'classifier':
    case 'oss-pool':
    case 'frontier':
    case 'ledger':
      return [
        ...ofTopics,
        literal('group', ['Read'], [name(role)]),
        prefixed('group', ['Read', 'Delete'], [name('policy-store-'), markers, ...(role === 'ledger' ? ofLedger : [])]),
        prefixed('transactional-id', ['Write'], [`${name(role)}.`]),
      ]
  }
}
