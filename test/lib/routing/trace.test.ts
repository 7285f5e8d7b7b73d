import { describe, expect, test } from 'vitest'
import type { ChatMessage, ChatTool } from '#lib/events/chat-request'
import { readTrace } from '#lib/routing/trace'

const tool = (name: string, parameters?: Record<string, unknown>): ChatTool => ({
  type: 'function',
  function: { name, ...(parameters && { parameters }) },
})
const pay = tool('pay', {
  type: 'object',
  properties: { amount: { type: 'integer' }, to: { type: ['string', 'null'] } },
  required: ['amount'],
})
const tools = [tool('search'), tool('book'), pay]

let id = 0
/** An assistant's call and its result. */
function call(name: string, args: string, result?: string): ChatMessage[] {
  const callId = `c${++id}`
  return [
    { role: 'assistant', tool_calls: [{ id: callId, type: 'function', function: { name, arguments: args } }] },
    ...(result === undefined ? [] : [{ role: 'tool' as const, tool_call_id: callId, content: result }]),
  ]
}
/** Several calls in one turn, with their results. */
function parallel(...calls: [name: string, args: string, result?: string][]): ChatMessage[] {
  const parts = calls.map((one) => call(...one))
  const callsOf = (message: ChatMessage | undefined) => (message?.role === 'assistant' && message.tool_calls) || []
  return [
    { role: 'assistant', tool_calls: parts.flatMap(([message]) => callsOf(message)) },
    ...parts.flatMap(([, ...results]) => results),
  ]
}
const says = (content: string): ChatMessage[] => [{ role: 'assistant', content }]
const user = (content: string): ChatMessage[] => [{ role: 'user', content }]
const read = (...messages: ChatMessage[][]) => readTrace({ messages: messages.flat(), tools })
const clean = {
  toolErrors: 0,
  freshToolErrors: 0,
  repeatedCalls: 0,
  unknownToolCalls: 0,
  malformedCalls: 0,
  turnsSinceTrouble: null,
  lastTroubleRecovered: null,
  unrecoveredTroubles: 0,
  troubledTools: [],
  troublePpm: 0,
}

describe('failed results', () => {
  test('a conversation without trouble reads clean', () => {
    expect(read()).toEqual(clean)
    expect(read(call('search', '{"q":1}', '[]'), call('search', '{"q":2}', '{"found":3}'))).toEqual(clean)
  })

  test('a failed result counts, and less the more turns have passed', () => {
    const fresh = read(call('search', '{}', 'Error: no such city'))
    expect(fresh).toMatchObject({ toolErrors: 1, freshToolErrors: 1, turnsSinceTrouble: 0, troublePpm: 300_000 })
    const later = read(call('search', '{}', 'Error: no such city'), says('Hm.'))
    expect(later).toMatchObject({ toolErrors: 1, freshToolErrors: 0, turnsSinceTrouble: 1, troublePpm: 225_000 })
  })

  test("an error is fresh until the agent's next turn, whatever the user says in between", () => {
    const failed = call('search', '{}', 'Error: no such city')
    expect(read(failed, user('And?'))).toMatchObject({ freshToolErrors: 1 })
    expect(read(failed, says('Which city?'), user('Basel'))).toMatchObject({ freshToolErrors: 0, toolErrors: 1 })
  })

  test('the parts of a result are read one by one', () => {
    const [asked] = call('search', '{}')
    const parts = ['', 'Error: no such city'].map((text) => ({ type: 'text' as const, text }))
    const answer: ChatMessage = { role: 'tool', tool_call_id: `c${id}`, content: parts }
    expect(read(asked ? [asked, answer] : [])).toMatchObject({ toolErrors: 1 })
  })

  test('only results count: what user and agent say about errors does not', () => {
    expect(read(user('Error: it fails'), says('Error: I cannot'))).toEqual(clean)
  })

  test('calls of one tool that fail in one turn are one mistake, those of two tools are two', () => {
    const same = read(parallel(['search', '{"q":1}', 'Error: x'], ['search', '{"q":2}', 'Error: x']))
    expect(same).toMatchObject({ toolErrors: 2, freshToolErrors: 2, troublePpm: 300_000 })
    const two = read(parallel(['search', '{"q":1}', 'Error: x'], ['book', '{"q":2}', 'Error: x']))
    expect(two).toMatchObject({ toolErrors: 2, troublePpm: 600_000 })
  })

  test('a result without its call counts, and belongs to the single call that waits', () => {
    const stray = (content: string): ChatMessage[] => [{ role: 'tool', tool_call_id: 'lost', content }]
    expect(read(stray('Error: x'))).toMatchObject({ toolErrors: 1, unrecoveredTroubles: 1 })
    expect(read(call('fly', '{}'), stray('Error: unknown tool'))).toMatchObject({ unknownToolCalls: 1, toolErrors: 1 })
    expect(read(call('fly', '{}'), stray('{"flights":[]}'))).toEqual(clean)
  })

  test('calls that share an id are answered in their order', () => {
    const twice = (name: string): ChatMessage => ({
      role: 'assistant',
      tool_calls: ['{"q":1}', '{"q":2}'].map((args) => ({
        id: 'call_0',
        type: 'function' as const,
        function: { name, arguments: args },
      })),
    })
    const answer = (content: string): ChatMessage => ({ role: 'tool', tool_call_id: 'call_0', content })
    const trace = read([twice('fly'), answer('{"n":1}'), answer('Error: unknown tool')])
    expect(trace).toMatchObject({ unknownToolCalls: 1, toolErrors: 1, unrecoveredTroubles: 1 })
  })
})

describe('recovery', () => {
  const failed = call('search', '{"q":1}', 'Error: bad query')

  test('a trouble that the same tool has recovered from counts a quarter', () => {
    expect(read(failed, call('search', '{"q":2}', '["Basel"]'))).toMatchObject({
      toolErrors: 1,
      turnsSinceTrouble: 1,
      lastTroubleRecovered: true,
      unrecoveredTroubles: 0,
      troublePpm: 56_250,
    })
    expect(read(failed, call('book', '{}', 'done'))).toMatchObject({
      lastTroubleRecovered: false,
      unrecoveredTroubles: 1,
      troublePpm: 225_000,
    })
  })

  test('an answer in the same turn is no recovery', () => {
    const trace = read(parallel(['search', '{"q":1}', 'Error: x'], ['search', '{"q":2}', '[]']))
    expect(trace).toMatchObject({ lastTroubleRecovered: false, troublePpm: 300_000 })
  })

  test('the last trouble decides, earlier ones stay counted', () => {
    const trace = read(failed, call('search', '{"q":2}', '[]'), call('book', '{}', 'Error: full'), says('Full.'))
    expect(trace).toMatchObject({ turnsSinceTrouble: 1, lastTroubleRecovered: false, unrecoveredTroubles: 1 })
  })

  test('an offered tool that answers recovers from an invented one', () => {
    const invented = call('fly', '{}', 'Error: unknown tool')
    expect(read(invented, call('search', '{}', '[]'))).toMatchObject({ lastTroubleRecovered: true })
    expect(read(invented, call('swim', '{}', 'Error: unknown tool'))).toMatchObject({ unrecoveredTroubles: 2 })
  })

  test('a new call that is answered ends going in circles', () => {
    const circle = [call('search', '{}', '[]'), call('search', '{}', '[]')]
    expect(read(...circle)).toMatchObject({ lastTroubleRecovered: false })
    expect(read(...circle, call('book', '{}', 'done'))).toMatchObject({ lastTroubleRecovered: true })
  })

  test('its own bad call three turns ago, not yet set right', () => {
    const trace = read(call('pay', '{"amount":', 'Error: bad JSON'), says('One moment.'), user('Yes?'), says('Well.'))
    expect(trace).toMatchObject({ malformedCalls: 1, turnsSinceTrouble: 2, lastTroubleRecovered: false })
    expect(trace.troublePpm).toBe(300_000)
  })
})

describe('repeated calls', () => {
  test('the same call again counts, however its arguments are laid out', () => {
    const trace = read(call('book', '{"a":1,"b":2}', 'ok'), call('book', '{ "b": 2.0, "a": 1e0 }', 'ok'))
    expect(trace).toMatchObject({ repeatedCalls: 1, troublePpm: 350_000 })
  })

  test.each([
    ['{"a":1}', '{"a":"1"}'],
    ['{"id":12345678901234567890}', '{"id":12345678901234567891}'],
    ['{"a":[1,2]}', '{"a":[2,1]}'],
    ['{}', '{"a":null}'],
  ])('%s and %s are two calls', (one, other) => {
    expect(read(call('book', one, 'ok'), call('book', other, 'ok'))).toEqual(clean)
  })

  test('twice in one turn is a repetition too', () => {
    expect(read(parallel(['search', '{}', '[]'], ['search', '{}', '[]']))).toMatchObject({ repeatedCalls: 1 })
  })

  test('a repeated call that fails again is both, and weighs once', () => {
    const trace = read(call('book', '{}', 'Error: full'), says('Again.'), call('book', '{}', 'Error: full'))
    expect(trace).toMatchObject({ toolErrors: 2, freshToolErrors: 1, repeatedCalls: 1, unrecoveredTroubles: 2 })
    expect(trace.troublePpm).toBe(180_000 + 350_000)
  })

  test('polling, and reading again what has changed, is counted but no trouble', () => {
    const polling = ['{"state":"queued"}', '{"state":"queued"}', '{"state":"running"}', '{"state":"done"}']
    const trace = read(...polling.map((result) => call('search', '{"job":1}', result)))
    expect(trace).toEqual({ ...clean, repeatedCalls: 3 })
  })

  test('a retry that works recovers from the failure and is no trouble', () => {
    const trace = read(call('search', '{}', 'Error: 503'), call('search', '{}', '["Basel"]'))
    expect(trace).toMatchObject({ repeatedCalls: 1, turnsSinceTrouble: 1, lastTroubleRecovered: true })
  })
})

describe('calls that cannot be right', () => {
  test('arguments that are no JSON object count; none at all are an empty object', () => {
    expect(read(call('book', '{"a":', 'Error: bad JSON'))).toMatchObject({ malformedCalls: 1, troublePpm: 500_000 })
    for (const args of ['[1]', '"{}"', "{'a':1}", '{"a":1}{"b":2}'])
      expect(read(call('book', args, 'ok'))).toMatchObject({ malformedCalls: 1 })
    for (const args of ['', ' ', 'null', '{}']) expect(read(call('book', args, 'ok'))).toEqual(clean)
  })

  test('arguments nested beyond the stack are read', () => {
    const deep = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
    expect(read(call('book', deep, 'ok'))).toEqual(clean)
  })

  test.each(['{}', '{"amount":"5"}', '{"amount":1.5}', '{"amount":null}', '{"amount":5,"to":[]}'])(
    'arguments that do not fit the schema count where the call led to nothing: %s',
    (args) => {
      expect(read(call('pay', args, 'Error: bad amount'))).toMatchObject({ malformedCalls: 1, toolErrors: 1 })
      expect(read(call('pay', args))).toMatchObject({ malformedCalls: 1 })
      expect(read(call('pay', args, 'paid'))).toEqual(clean)
    },
  )

  test.each(['{"amount":5}', '{"amount":5.0,"to":null}', '{"amount":5,"to":"x","more":1}'])(
    'arguments that fit do not: %s',
    (args) => expect(read(call('pay', args, 'Error: no money'))).toMatchObject({ malformedCalls: 0, toolErrors: 1 }),
  )

  test('a tool that is not offered is an invention where its result is a failure or missing', () => {
    expect(read(call('fly', '{}', 'Error: unknown tool'))).toMatchObject({ unknownToolCalls: 1, troublePpm: 600_000 })
    expect(read(call('fly', '{}'))).toMatchObject({ unknownToolCalls: 1 })
    // Offered in an earlier phase of the task.
    expect(read(call('get_policy', '{}', '{"active":true}'))).toEqual(clean)
    const without = { messages: call('fly', '{}', 'Error: x') }
    expect(readTrace(without)).toMatchObject({ unknownToolCalls: 0, toolErrors: 1 })
  })
})

describe('readTrace', () => {
  test('troubles add up to a full one at most', () => {
    const bad = Array.from({ length: 9 }, () => call('book', '{"a":1}', 'Error: sold out'))
    expect(read(...bad)).toMatchObject({ repeatedCalls: 8, toolErrors: 9, troublePpm: 1_000_000 })
  })

  test('a long conversation is read once, with one turn of many calls too', () => {
    const many = Array.from({ length: 20_000 }, (_, i): [string, string, string] => [
      `t${i % 100}`,
      `{"n":${i}}`,
      i % 2 ? 'Error: x' : 'ok',
    ])
    expect(read(...many.map((one) => call(...one)))).toMatchObject({ toolErrors: 10_000 })
    const [asked, ...results] = parallel(...many)
    expect(read(asked ? [asked, ...results.toReversed()] : [])).toMatchObject({ freshToolErrors: 10_000 })
  })
})
