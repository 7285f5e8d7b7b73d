import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, inject, test } from 'vitest'
import { createStreamRig, type StreamRig, type StreamWorker } from '../support/stream-rig.ts'
import type { TopicReader } from '../support/topic-reader.ts'
import { waitUntil } from '../support/wait-until.ts'

const stack = inject('stack')
let rig: StreamRig

afterEach(() => rig.end())

/** Ids of jobs in the results, with how often. */
function counted(reader: TopicReader): Map<string, number> {
  const counts = new Map<string, number>()
  for (const record of reader.records(rig.topic('agent.results')))
    counts.set(record.key, (counts.get(record.key) ?? 0) + 1)
  return counts
}

function expectEachOnce(reader: TopicReader, ids: readonly string[]): void {
  const counts = counted(reader)
  expect({
    missing: ids.filter((id) => !counts.has(id)),
    doubled: [...counts].filter(([, count]) => count > 1),
    results: counts.size,
  }).toEqual({ missing: [], doubled: [], results: ids.length })
}

/** Publishes jobs of 10 to `maxMs` ms at about 100 a second. */
async function publishFlow(prefix: string, count: number, maxMs: number): Promise<string[]> {
  const ids: string[] = []
  for (let at = 0; at < count; at += 20) {
    const jobs = Array.from({ length: Math.min(20, count - at) }, (_, index) => ({
      id: `${prefix}-${at + index}`,
      ms: 10 + Math.floor(Math.random() * maxMs),
    }))
    await rig.publishJobs(jobs)
    ids.push(...jobs.map((job) => job.id))
    await sleep(200)
  }
  return ids
}

test('I1: one result a record while workers are killed with -9, added and stopped', async () => {
  rig = createStreamRig(stack)
  await rig.apply(6)
  const reader = await rig.read('agent.results')
  const workers = new Map<string, StreamWorker>()
  const start = (replica: string) => workers.set(replica, rig.startWorker(replica))
  for (const replica of ['a', 'b', 'c']) start(replica)
  const publishing = publishFlow('job', 1_200, 150)
  for (const victim of ['a', 'b', 'a', 'c']) {
    const before = reader.count(rig.topic('agent.results'))
    await waitUntil(() => reader.count(rig.topic('agent.results')) > before + 60, 'work to go on')
    workers.get(victim)?.process.kill('SIGKILL')
    await workers.get(victim)?.exited
    start(victim)
  }
  start('d')
  await waitUntil(() => (workers.get('d')?.lanes() ?? 0) > 0, 'the added worker to get lanes')
  workers.get('b')?.process.kill('SIGTERM')
  await workers.get('b')?.exited
  const ids = await publishing
  await rig.allDone('classifier')
  await reader.caughtUp()
  expectEachOnce(reader, ids)
})

test('I1: a worker that sleeps past its session and wakes writes nothing twice', async () => {
  rig = createStreamRig(stack)
  await rig.apply(4)
  const reader = await rig.read('agent.results')
  const zombie = rig.startWorker('a')
  const other = rig.startWorker('b')
  await waitUntil(() => zombie.lanes() > 0 && other.lanes() > 0, 'both workers to have lanes')
  const publishing = publishFlow('job', 700, 150)
  await waitUntil(() => reader.count(rig.topic('agent.results')) > 60, 'work to go on')
  zombie.process.kill('SIGSTOP')
  await waitUntil(() => other.lanes() === 4 * 4, 'the other to take its lanes over')
  zombie.process.kill('SIGCONT')
  const ids = await publishing
  await waitUntil(() => zombie.lanes() > 0 && other.lanes() < 4 * 4, 'the zombie to have come back')
  await rig.allDone('classifier')
  await reader.caughtUp()
  expectEachOnce(reader, ids)
})
