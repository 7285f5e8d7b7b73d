import { expect, test } from 'vitest'
import { createResultsTopic, isResultsTopic, ownResultsTopics } from '#lib/events/results-topic'
import type { PolicyTenant } from '#lib/policy/schema'

const tenants = [
  { id: 'acme', resultsTopic: 'agent.results.acme' },
  { id: 'globex' },
  { id: 'initech', resultsTopic: 'agent.results.acme' },
] as PolicyTenant[]

test("a tenant's results go to its own topic, and to the shared one where it has none", () => {
  const topicOf = createResultsTopic({ inForce: () => ({ policy: { tenants } }) }, 'staging')
  expect(['acme', 'globex', 'of nobody'].map(topicOf)).toEqual([
    'staging.agent.results.acme',
    'staging.agent.results',
    'staging.agent.results',
  ])
})

test('before there is a policy, results go to the shared topic', () => {
  expect(createResultsTopic({ inForce: () => undefined }, '')('acme')).toBe('agent.results')
})

test('a topic that tenants share is named once', () => {
  expect(ownResultsTopics({ tenants })).toEqual(['agent.results.acme'])
})

test.each([
  ['agent.results', '', true],
  ['agent.results.acme', '', true],
  ['staging.agent.results.acme', 'staging', true],
  ['agent.results.acme', 'staging', false],
  ['staging.agent.results', '', false],
  ['agent.resultsacme', '', false],
  ['agent.audit', '', false],
])('%s in the namespace %j holds results: %s', (topic, namespace, holds) => {
  expect(isResultsTopic(namespace, topic)).toBe(holds)
})
