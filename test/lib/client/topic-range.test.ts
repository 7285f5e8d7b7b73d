import { expect, test } from 'vitest'
import { narrowSpan } from '#lib/client/topic-range'

const span = {
  from: { 'agent.steps': { 0: 5, 1: 0 }, 'agent.steps.batch': { 0: 0 } },
  until: { 'agent.steps': { 0: 100, 1: 50 }, 'agent.steps.batch': { 0: 10 } },
  offsets: 155,
}
const at = (topic: string, partition: number, offset: number) => ({ topic, partition, offset })

test('a narrowed span goes from the first to the last place of each partition, and leaves out the others', () => {
  expect(narrowSpan(span, [at('agent.steps', 1, 20), at('agent.steps', 1, 10), at('agent.steps', 1, 15)])).toEqual({
    from: { 'agent.steps': { 0: 100, 1: 10 }, 'agent.steps.batch': { 0: 10 } },
    until: { 'agent.steps': { 0: 100, 1: 21 }, 'agent.steps.batch': { 0: 10 } },
    offsets: 11,
  })
})

test('places that are gone, or not there yet, make it no larger', () => {
  const narrowed = narrowSpan(span, [at('agent.steps', 0, 2), at('agent.steps.batch', 0, 500), at('other', 0, 1)])
  expect(narrowed).toEqual({
    from: { 'agent.steps': { 0: 5, 1: 50 }, 'agent.steps.batch': { 0: 10 } },
    until: { 'agent.steps': { 0: 5, 1: 50 }, 'agent.steps.batch': { 0: 10 } },
    offsets: 0,
  })
  expect(narrowSpan(span, []).offsets).toBe(0)
})
