import { describe, expect, test } from 'vitest'
import type { ChatMessage, ChatTool } from '#lib/events/chat-request'
import { readTrace } from '#lib/routing/trace'

const tool = (name: string): ChatTool => ({ type: 'function', function: { name } })
const tools = [tool('search'), tool('book')]

let id = 0
/** An assistant's call and its result. */
function call(name: string, args: string, result?: string): ChatMessage[] {
  const callId = `c${++id}`
  return [
    { role: 'assistant', tool_calls: [{ id: callId, type: 'function', function: { name, arguments: args } }] },
    ...(result === undefined ? [] : [{ role: 'tool' as const, tool_call_id: callId, content: result }]),
  ]
}
const read = (...messages: ChatMessage[][]) => readTrace({ messages: messages.flat(), tools })
const clean = {
  toolErrors: 0,
  repeatedCalls: 0,
  unknownToolCalls: 0,
  malformedCalls: 0,
  turnsSinceTrouble: null,
  troublePpm: 0,
}

describe('readTrace', () => {
  test('a conversation without trouble reads clean', () => {
    expect(read()).toEqual(clean)
    expect(read(call('search', '{"q":1}', '[]'), call('search', '{"q":2}', '{"found":3}'))).toEqual(clean)
  })

  test('a failed result counts, and less the more turns have passed', () => {
    const fresh = read(call('search', '{}', 'Error: no such city'))
    expect(fresh).toMatchObject({ toolErrors: 1, turnsSinceTrouble: 0, troublePpm: 300_000 })
    const later = read(call('search', '{}', 'Error: no such city'), [{ role: 'assistant', content: 'Hm.' }])
    expect(later).toMatchObject({ turnsSinceTrouble: 1, troublePpm: 225_000 })
  })

  test('a trouble that the same tool has recovered from counts a quarter', () => {
    const trace = read(call('search', '{"q":1}', 'Error: bad query'), call('search', '{"q":2}', '["Basel"]'))
    expect(trace).toMatchObject({ toolErrors: 1, turnsSinceTrouble: 1, troublePpm: 56_250 })
    const otherTool = read(call('search', '{"q":1}', 'Error: bad query'), call('book', '{}', 'done'))
    expect(otherTool.troublePpm).toBe(225_000)
  })

  test('the same call again counts, however its arguments are laid out', () => {
    const trace = read(call('book', '{"a":1,"b":2}', 'ok'), call('book', '{ "b": 2, "a": 1 }', 'ok'))
    expect(trace).toMatchObject({ repeatedCalls: 1, troublePpm: 350_000 })
  })

  test('arguments that are no JSON object count; none at all are an empty object', () => {
    expect(read(call('book', '{"a":', 'Error: bad JSON'))).toMatchObject({ malformedCalls: 1, toolErrors: 0 })
    expect(read(call('book', '[1]', 'ok'))).toMatchObject({ malformedCalls: 1 })
    expect(read(call('book', '', 'ok'))).toEqual(clean)
  })

  test('a tool that is not offered is an invention where its result is a failure or missing', () => {
    expect(read(call('fly', '{}', 'Error: unknown tool'))).toMatchObject({ unknownToolCalls: 1, toolErrors: 0 })
    expect(read(call('fly', '{}'))).toMatchObject({ unknownToolCalls: 1 })
    // Offered in an earlier phase of the task.
    expect(read(call('get_policy', '{}', '{"active":true}'))).toEqual(clean)
    const without = { messages: call('fly', '{}', 'Error: x') }
    expect(readTrace(without)).toMatchObject({ unknownToolCalls: 0, toolErrors: 1 })
  })

  test('troubles add up to a full one at most', () => {
    const bad = Array.from({ length: 9 }, () => call('book', '{"a":1}', 'Error: sold out'))
    expect(read(...bad)).toMatchObject({ repeatedCalls: 8, toolErrors: 1, troublePpm: 1_000_000 })
  })

  test('a long conversation is read in linear time', () => {
    const messages = Array.from({ length: 20_000 }, (_, i) =>
      call(`t${i % 100}`, `{"n":${i}}`, i % 2 ? 'Error: x' : 'ok'),
    )
    const startMs = performance.now()
    read(...messages)
    expect(performance.now() - startMs).toBeLessThan(5_000)
  })
})
