import { expect, test } from 'vitest'
import { isLetter, parseLetterId } from '#lib/dead-letters/letter-id'

const letter = {
  place: { topic: 'staging.agent.deadletter', partition: 2, offset: 17 },
  origin: { topic: 'staging.agent.steps', partition: 0, offset: 5, timestampMs: 0 },
}

test.each([
  '2/17',
  'agent.deadletter/2/17',
  'staging.agent.deadletter/2/17',
  'agent.steps/0/5',
  'staging.agent.steps/0/5',
])('%s names the letter', (text) => expect(isLetter(parseLetterId('staging', text), letter)).toBe(true))

test.each(['2/18', '0/5', 'agent.steps/2/17', 'agent.steps.batch/0/5', 'other.agent.steps/0/5'])(
  '%s does not name it',
  (text) => expect(isLetter(parseLetterId('staging', text), letter)).toBe(false),
)

test.each(['17', '2/x', '2/', 'agent.steps', '-1/3', ''])('%j is no name of a letter', (text) =>
  expect(() => parseLetterId('staging', text)).toThrow('names no dead letter'),
)
