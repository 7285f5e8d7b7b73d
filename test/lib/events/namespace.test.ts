import { expect, test } from 'vitest'
import { isNamespace, isReplay, replayNamespace } from '#lib/events/namespace'
import { outOfNamespace } from '#lib/events/topics'
import { isResultsTopic } from '#lib/events/results-topic'

test('a replay has a namespace of its own, within the one that it replays where that has a name', () => {
  expect(replayNamespace('', 'may-12')).toBe('replay-may-12')
  expect(replayNamespace('staging', 'may-12')).toBe('staging.replay-may-12')
  expect(isNamespace('staging.replay-may-12') && isReplay('staging.replay-may-12')).toBe(true)
})

test("no topic of a replay is one of the live namespace's", () => {
  for (const live of ['', 'staging'])
    for (const topic of ['agent.steps', 'agent.results', 'agent.results.acme']) {
      const replayed = `${replayNamespace(live, 'x')}.${topic}`
      expect(outOfNamespace(live, replayed)).toBeUndefined()
      expect(isResultsTopic(live, replayed)).toBe(false)
    }
})

test.each(['', 'A', '-x', 'x.y', 'x/y', 'x'.repeat(32)])('an id that makes no name is refused: %s', (id) => {
  expect(() => replayNamespace('', id)).toThrow(/SHUNT|--id/)
})

test('a replay is not replayed', () => {
  for (const live of ['replay-a', 'staging.replay-a']) expect(() => replayNamespace(live, 'b')).toThrow(/is a replay/)
})

test.each(['a.b', 'staging.replay-', '.replay-a', 'a.replay-b.replay-c', 'Staging', 'a_b'])(
  'is no namespace: %s',
  (namespace) => expect(isNamespace(namespace)).toBe(false),
)

test.each(['', 'staging', 'a-1', 'replay-a', 'staging.replay-a'])('is a namespace: "%s"', (namespace) =>
  expect(isNamespace(namespace)).toBe(true),
)
