import { describe, expect, test } from 'vitest'
import { inNamespace, topicNames, type Topic } from '#lib/events/topics'
import { aclsOf, roles, type AclOperation, type Role } from '#lib/stream/acls'
import { stageGroupNames, stageGroups } from '#lib/stream/stage-groups'
import { transactionalIdOf } from '#lib/stream/kafka'

const namespace = 'staging'
const inStaging = (name: string) => inNamespace(namespace, name)

function may(role: Role, operation: AclOperation, resource: string, name: string): boolean {
  return aclsOf(role, namespace).some(
    (acl) =>
      acl.resource === resource &&
      acl.operations.includes(operation) &&
      acl.names.some((each) => (acl.prefixed ? name.startsWith(each) : name === each)),
  )
}

/** Without the administrator, who acts for all. */
function writersOf(topic: Topic): Role[] {
  return roles.filter((role) => role !== 'administrator' && may(role, 'Write', 'topic', inStaging(topic)))
}

describe('who may write', () => {
  test.each([
    'agent.steps.oss',
    'agent.steps.oss.batch',
    'agent.steps.frontier',
    'agent.steps.frontier.batch',
  ] as const)('what is routed to a tier (%s) is the classifier alone', (topic) =>
    expect(writersOf(topic)).toEqual(['classifier']),
  )

  test('each topic', () => {
    const writers = Object.fromEntries(
      topicNames.filter((topic) => !topic.endsWith('.batch')).map((topic) => [topic, writersOf(topic).join(' ')]),
    )
    expect(writers).toEqual({
      'agent.steps': 'publisher classifier operator',
      'agent.steps.reroute': 'oss-pool frontier operator',
      'agent.steps.oss': 'classifier',
      'agent.steps.frontier': 'classifier',
      'agent.results': 'classifier oss-pool frontier',
      'agent.audit': 'classifier oss-pool frontier ledger',
      'agent.feedback': 'publisher operator',
      'agent.control': 'operator',
      'agent.policies': 'operator',
      'agent.deadletter': 'classifier oss-pool frontier ledger',
    })
  })

  test('a twin is as its topic', () => {
    for (const topic of topicNames.filter((each) => each.endsWith('.batch')))
      expect(writersOf(topic)).toEqual(writersOf(topic.slice(0, -'.batch'.length) as Topic))
  })

  test('an auditor writes nothing', () => {
    expect(aclsOf('auditor', namespace).flatMap(({ operations }) => operations)).not.toContain('Write')
  })

  test('an auditor sees what every lane has committed, and reads nothing that is on its way', () => {
    for (const group of stageGroupNames) {
      expect(may('auditor', 'Describe', 'group', inStaging(group))).toBe(true)
      for (const topic of stageGroups[group]) expect(may('auditor', 'Describe', 'topic', inStaging(topic))).toBe(true)
    }
    for (const topic of ['agent.steps.oss', 'agent.steps.frontier', 'agent.steps.reroute'])
      expect(may('auditor', 'Read', 'topic', inStaging(topic))).toBe(false)
  })
})

describe("a tenant's own topic for results", () => {
  const own = inStaging('agent.results.acme')

  test('is written by who writes results, and read by operator and auditor', () => {
    expect(roles.filter((role) => may(role, 'Write', 'topic', own))).toEqual([
      ...writersOf('agent.results'),
      'administrator',
    ])
    expect(roles.filter((role) => may(role, 'Read', 'topic', own))).toEqual(['operator', 'administrator', 'auditor'])
  })

  test('is read by a publisher of that tenant, who reads no other results', () => {
    const [read] = aclsOf('publisher', namespace, { resultsTopic: 'agent.results.acme' })
    expect(read).toEqual({ resource: 'topic', operations: ['Read'], prefixed: false, names: [own] })
  })
})

describe.each(stageGroupNames)('the service %s', (group) => {
  test('reads what its stage reads, in its own group and no other', () => {
    for (const topic of stageGroups[group]) expect(may(group, 'Read', 'topic', inStaging(topic)), topic).toBe(true)
    const groups = stageGroupNames.filter((each) => may(group, 'Read', 'group', inStaging(each)))
    expect(groups).toEqual([group])
  })

  test('has the transactional ids of its own lanes and no others', () => {
    for (const other of stageGroupNames)
      for (const topic of stageGroups[other]) {
        const id = transactionalIdOf(inStaging(other), inStaging(topic), 3)
        expect(may(group, 'Write', 'transactional-id', id), id).toBe(other === group)
        expect(may('administrator', 'Write', 'transactional-id', id), id).toBe(true)
      }
  })
})

test('nothing is granted outside of the namespace but the groups of clients', () => {
  const granted = roles.flatMap((role) => aclsOf(role, namespace).flatMap(({ names }) => names))
  expect(new Set(granted.filter((name) => !name.startsWith('staging.')))).toEqual(new Set(['shunt-']))
})

test('without a namespace, names stand by themselves', () => {
  expect(aclsOf('frontier', '').map(({ resource, names }) => [resource, ...names])).toEqual([
    ['topic', 'agent.steps.frontier', 'agent.steps.frontier.batch', 'agent.control', 'agent.policies'],
    ['topic', 'agent.steps.reroute', 'agent.steps.reroute.batch', 'agent.results', 'agent.audit', 'agent.deadletter'],
    ['topic', 'agent.results.'],
    ['group', 'frontier'],
    ['group', 'policy-store-', 'agent.control.markers-'],
    ['transactional-id', 'frontier.'],
  ])
})
