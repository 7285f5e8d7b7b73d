import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const text = readFileSync(new URL('tau-airline-errors.jsonl', import.meta.url), 'utf8')
const labels = text
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Record<string, unknown>)

test('every label names a turn and says whether it follows a tool error', () => {
  for (const { conversation, message, afterToolError, note, ...rest } of labels) {
    expect(conversation).toMatch(/^tau-airline\/\d+\/\d+$/)
    // The first message is the policy's, the second the user's.
    expect(message).toSatisfy((at: unknown) => Number.isInteger(at) && (at as number) >= 2)
    expect(afterToolError).toBeTypeOf('boolean')
    // A few words of the labeller's, never a text of the data set.
    if (note !== undefined) expect(note).toSatisfy((words: unknown) => typeof words === 'string' && words.length < 80)
    expect(rest).toEqual({})
  }
})

test('150 turns or more are labelled, each once, at least 50 of them right after an error', () => {
  expect(new Set(labels.map(({ conversation, message }) => JSON.stringify([conversation, message]))).size).toBe(
    labels.length,
  )
  expect(labels.length).toBeGreaterThanOrEqual(150)
  expect(labels.filter(({ afterToolError }) => afterToolError === true).length).toBeGreaterThanOrEqual(50)
})
