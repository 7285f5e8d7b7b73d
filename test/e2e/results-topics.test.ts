import { expect, inject, onTestFinished, test } from 'vitest'
import { startPipeline } from '../support/pipeline.ts'
import { makeStep } from '../support/pipeline-steps.ts'
import { runShunt } from '../support/run-shunt.ts'
import { startTopicReader } from '../support/topic-reader.ts'

const own = 'agent.results.acme'

test("a tenant's results lie in its own topic and not in the one of the others; who waits gets both", async () => {
  const tenants = [{ id: 'acme', resultsTopic: own }, { id: 'globex' }]
  const pipeline = await startPipeline({ stack: inject('stack'), partitions: 2, policy: { tenants } })
  onTestFinished(({ task }) => pipeline.stopAll({ failed: task.result?.state === 'fail' }))
  const reader = await startTopicReader({
    brokers: inject('stack').brokers,
    topics: [`${pipeline.namespace}.${own}`],
  })
  onTestFinished(() => reader.stop())
  const shunt = (args: string[], input = '') => runShunt(pipeline.env, args, input)

  // From every writer of results: answered, too late, and rejected.
  const steps = ['acme', 'globex'].flatMap((tenantId) => [
    makeStep(`${tenantId}-paid`, { tenantId, kind: 'reasoning' }),
    makeStep(`${tenantId}-open`, { tenantId }),
    makeStep(`${tenantId}-late`, { tenantId, deadlineAtMs: Date.now() - 1_000 }),
    makeStep(`${tenantId}-bad`, { tenantId, request: { messages: [{ role: 'user', content: 'x' }], n: 2 } }),
  ])
  const lines = steps.map((step) => JSON.stringify(step)).join('\n')
  const published = await shunt(['publish', '-', '--wait', '--json'], lines)
  expect(JSON.parse(published.stdout)).toMatchObject({ published: 8, results: 8, second: 0, missing: 0 })
  const again = await shunt(['publish', '-', '--wait', '--json'], JSON.stringify(steps[0]))
  expect(JSON.parse(again.stdout)).toMatchObject({ published: 1, results: 1, second: 0 })

  await pipeline.untilIdle()
  await reader.caughtUp()
  const ids = steps.map(({ stepId }) => stepId)
  const of = (tenantId: string) => ids.filter((id) => id.startsWith(tenantId)).toSorted()
  const statuses = (await pipeline.collectResults()).map(({ status }) => status).toSorted()
  expect(statuses).toEqual([...Array<string>(4).fill('completed'), 'expired', 'expired', 'rejected', 'rejected'])
  const shared = pipeline.read('agent.results')
  expect([shared.length, reader.count(`${pipeline.namespace}.${own}`)]).toEqual([4, 4])
  const keysOf = (records: { key: string }[]) => records.map(({ key }) => key.replace(/^task-/, '')).toSorted()
  expect(keysOf(shared)).toEqual(of('globex'))
  expect(keysOf(reader.records(`${pipeline.namespace}.${own}`))).toEqual(of('acme'))

  const told = (await shunt(['results', '--json'])).stdout.trim().split('\n')
  const toldIds = told.map((line) => (JSON.parse(line) as { stepId: string }).stepId)
  expect(toldIds.toSorted()).toEqual(ids.toSorted())
  const task = await shunt(['task', 'task-acme-open', '--json'])
  expect(JSON.parse(task.stdout)).toMatchObject({ results: [{ stepId: 'acme-open', status: 'completed' }] })
  await pipeline.expectAudit()
})

test('a policy that names a topic which is not there is not activated', async () => {
  const pipeline = await startPipeline({ stack: inject('stack'), partitions: 1 })
  onTestFinished(({ task }) => pipeline.stopAll({ failed: task.result?.state === 'fail' }))
  await expect(pipeline.activatePolicy({ tenants: [{ id: 'acme', resultsTopic: own }] })).rejects.toMatchObject({
    code: 'SHUNT_TOPICS_NOT_APPLIED',
    message: expect.stringContaining(`${pipeline.namespace}.${own}`) as string,
  })
})
