import { expect, test } from 'vitest'
import { createPublications } from '#lib/client/publications'
import { buildStepResult } from '#lib/events/step-result'
import type { StepResult } from '#lib/events/types.generated'

const key = { tenantId: 'acme', stepId: 's1' }
const place = { topic: 'agent.steps', partition: 0, offset: 5 }
const at = (offset: number) => ({ topic: 'agent.results', partition: 1, offset })

function result(status: 'completed' | 'rejected' = 'completed', origin = place): StepResult {
  const step = { ...key, taskId: 't1', sequence: null, batchId: null, metadata: {} }
  const end = { code: null, message: null, answer: null, answeredBy: null, reasons: [], policyHash: null }
  return buildStepResult(step, { ...origin, receivedAtMs: 0 }, [], { ...end, status, finishedAtMs: 0 })
}

const duplicateOf = (origin: typeof place, first = place) => ({
  ...key,
  origin: { ...origin, receivedAtMs: 0 },
  first: `${first.topic}/${first.partition}/${first.offset}`,
})

function watched() {
  const ended: StepResult[] = []
  const seconds: string[] = []
  const publications = createPublications({
    onEnd: (result) => ended.push(result),
    onSecond: (_result, first, second) => seconds.push(`${first} ${second}`),
  })
  return { publications, ended, seconds }
}

test('a step ends with its first result; the same record again is no second one', () => {
  const { publications, ended, seconds } = watched()
  publications.add(key)
  publications.acknowledged(key, place)
  expect(publications.pending()).toBe(1)
  for (let i = 0; i < 2; i++) publications.offer(result(), at(9))
  expect([publications.pending(), ended.length, seconds]).toEqual([0, 1, []])
})

test('another record for the same step is a second result, told once', () => {
  const { publications, seconds } = watched()
  publications.add(key)
  publications.acknowledged(key, place)
  for (const offset of [9, 12, 12]) publications.offer(result(), at(offset))
  expect(seconds).toEqual(['agent.results/1/9 agent.results/1/12'])
})

test('a result that overtakes the acknowledgement waits for it', () => {
  const { publications, ended } = watched()
  publications.add(key)
  publications.offer(result(), at(9))
  expect(ended).toEqual([])
  publications.acknowledged(key, place)
  expect(ended).toHaveLength(1)
})

test("a rejection of another record of the id is nobody's result here, one of this record is", () => {
  const { publications, ended } = watched()
  publications.add(key)
  publications.acknowledged(key, place)
  publications.offer(result('rejected', { ...place, offset: 4 }), at(8))
  expect(ended).toEqual([])
  publications.offer(result('rejected'), at(9))
  expect(ended).toHaveLength(1)
})

test('results of other records of the id are those of earlier steps: neither an end nor a second result', () => {
  const { publications, ended, seconds } = watched()
  publications.add(key)
  publications.offer(result('completed', { ...place, offset: 2 }), at(7))
  publications.acknowledged(key, place)
  publications.offer(result('completed', { ...place, offset: 3 }), at(8))
  expect(ended).toEqual([])
  publications.offer(result(), at(9))
  publications.offer(result('completed', { ...place, offset: 3 }), at(8))
  expect([ended.length, seconds]).toEqual([1, []])
})

test.each([true, false])(
  'a duplicate ends with the result of the record that won; known before it is acknowledged: %s',
  (early) => {
    const { publications, ended, seconds } = watched()
    const first = { ...place, topic: 'agent.steps.batch', offset: 1 }
    publications.add(key)
    if (!early) publications.acknowledged(key, place)
    // Another's record of the step, which was a duplicate too.
    publications.duplicate(duplicateOf({ ...place, offset: 4 }, place))
    expect(publications.duplicate(duplicateOf(place, first))).toBe(true)
    if (early) publications.acknowledged(key, place)
    publications.offer(result('rejected', first), at(8))
    expect(ended).toEqual([])
    publications.offer(result('completed', first), at(9))
    expect(publications.duplicate(duplicateOf(place, first))).toBe(false)
    publications.offer(result(), at(12))
    expect([ended.length, seconds]).toEqual([1, ['agent.results/1/9 agent.results/1/12']])
  },
)

test('where the acknowledgement tells no place, any result that can be its own is', () => {
  const { publications, ended } = watched()
  publications.add(key)
  publications.acknowledged(key, { ...place, offset: -1 })
  publications.offer(result(), at(9))
  expect(ended).toHaveLength(1)
})

test('an id is taken once, and what was never published is not waited for', () => {
  const { publications } = watched()
  expect([publications.add(key), publications.add(key)]).toEqual([true, false])
  expect([...publications.withoutResult()]).toEqual([key])
  publications.failed(key)
  expect([publications.pending(), publications.duplicate(duplicateOf(place))]).toEqual([0, false])
  publications.offer(result(), at(1))
})
