import { expect, test } from 'vitest'
import { placeInSpan, type ReplaySpan } from '#lib/replay/publish/range'

const span: ReplaySpan = {
  from: { 'agent.steps': { 0: 10 }, 'agent.steps.batch': { 0: 0 } },
  until: { 'agent.steps': { 0: 20 }, 'agent.steps.batch': { 0: 5 } },
  offsets: 15,
  sinceMs: 1_000,
  untilMs: 2_000,
}

test.each([
  ['live.agent.steps', 0, 10, 'agent.steps/0/10'],
  ['live.agent.steps', 0, 19, 'agent.steps/0/19'],
  ['live.agent.steps.batch', 0, 4, 'agent.steps.batch/0/4'],
  ['live.agent.steps', 0, 9, null],
  ['live.agent.steps', 0, 20, null],
  ['live.agent.steps', 1, 15, null],
  ['agent.steps', 0, 15, null],
  ['live.replay-x.agent.steps', 0, 15, null],
])('%s/%d/%d', (topic, partition, offset, place) => {
  expect(placeInSpan(span, { topic, partition, offset, receivedAtMs: 1_500 }, 'live')).toBe(place)
})

test.each([
  [999, false],
  [1_000, true],
  [1_999, true],
  [2_000, false],
])('a step of another time lies outside, wherever it lies: %d', (receivedAtMs, isInside) => {
  const place = placeInSpan(span, { topic: 'live.agent.steps', partition: 0, offset: 15, receivedAtMs }, 'live')
  expect(place !== null).toBe(isInside)
})
