import { describe, expect, test } from 'vitest'
import type { ChatMessage, ChatRequest, ChatTool } from '#lib/events/chat-request'
import { denseSize, readDense } from '#lib/routing/dense-features'
import { extractFeatures } from '#lib/routing/features'
import { readGrams } from '#lib/routing/text-grams'

/** All that a scorer sees of a request, as it sees it. */
function inputsOf(request: ChatRequest) {
  const { toolShape, ...features } = extractFeatures({ kind: 'unknown', request: JSON.stringify(request) }, request)
  const figures = new Float32Array(denseSize)
  readDense({ toolShape, ...features }, request, figures)
  const { words, pieces, terms } = readGrams(request)
  return { features, figures: [...figures], words: [...words], pieces: [...pieces], terms: [...terms] }
}

const sentences = 'The parcel has been in Leeds since Tuesday, and nobody there can say where it goes. '
const long = sentences.repeat(6_000)
const user: ChatMessage = { role: 'user', content: 'Where is it?' }
const call = (text: string): ChatMessage => ({
  role: 'assistant',
  content: null,
  tool_calls: [{ id: 'c', type: 'function', function: { name: 'find', arguments: text } }],
})

/** Where a text can stand in a request. */
const places: Record<string, (text: string) => ChatRequest> = {
  "the user's last message": (text) => ({ messages: [{ role: 'user', content: text }] }),
  "a part of the user's last message": (text) => ({
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Read this.' },
          { type: 'text', text },
        ],
      },
    ],
  }),
  'the instructions': (text) => ({ messages: [{ role: 'system', content: text }, user] }),
  'an earlier message of the user': (text) => ({
    messages: [{ role: 'user', content: text }, { role: 'assistant', content: 'Yes?' }, user],
  }),
  'an answer of the assistant': (text) => ({ messages: [user, { role: 'assistant', content: text }, user] }),
  "a tool's result": (text) => ({
    messages: [user, call('{}'), { role: 'tool', tool_call_id: 'c', content: text }],
  }),
}

describe('of a request of half a megabyte the very last word is seen', () => {
  // Of the same length and form, so that no count tells them apart.
  test.each(Object.keys(places))('in %s', (place) => {
    const [one, other] = ['zebra', 'quark'].map((word) => inputsOf(places[place]!(long + word)))
    expect(one!.features).toEqual(other!.features)
    expect(one!.words).not.toEqual(other!.words)
  })

  test('in the arguments of a call', () => {
    const [one, other] = ['zebra', 'zebra 5'].map((word) =>
      inputsOf({ messages: [user, call(JSON.stringify({ note: long + word })), user] }),
    )
    expect(one!.features.promptTokens).toBeLessThan(other!.features.promptTokens)
  })

  test('in what a tool says of itself and of its parameters', () => {
    const tool = (name: string, description: string, parameter = 'note'): ChatTool => ({
      type: 'function',
      function: {
        name,
        description: 'x',
        parameters: { properties: { [parameter]: { type: 'string', description } } },
      },
    })
    const offer = (tools: ChatTool[]) => ({ messages: [{ role: 'user' as const, content: 'Find the zebra' }], tools })
    const described = ['zebra', 'quark'].map((word) =>
      inputsOf(offer([{ type: 'function', function: { name: 'a', description: long + word } }, tool('b', 'x')])),
    )
    expect(described[0]!.features.ambiguity).not.toEqual(described[1]!.features.ambiguity)
    const typed = ['zebra', 'quark'].map((word) => inputsOf(offer([tool('a', long + word), tool('b', 'x')])))
    expect(typed[0]!.features.ambiguity).not.toEqual(typed[1]!.features.ambiguity)
  })
})

describe('how often a character is looked at does not grow with the length', () => {
  /** Characters that are read while the inputs of a request are made, over those that it has. */
  function readsPerCharacter(request: ChatRequest): number {
    const prototype: { charCodeAt(this: string, index: number): number } = String.prototype
    const original = prototype.charCodeAt
    let reads = 0
    prototype.charCodeAt = function (index) {
      reads++
      return original.call(this, index)
    }
    try {
      inputsOf(request)
    } finally {
      prototype.charCodeAt = original
    }
    return reads / JSON.stringify(request).length
  }

  const shapes = {
    prose: sentences,
    'items of a list': 'A. one of them\n',
    'lines without an end': '\n',
    digits: '4711 ',
    'one word': 'x',
    'code marks': '{[(=',
    'a script beyond Latin': 'посылка ',
    quotations: '"Leeds" ',
  }
  const tools: ChatTool[] = [{ type: 'function', function: { name: 'find_parcel', description: sentences } }]
  test.each(Object.entries(shapes))('%s', (_, text) => {
    for (const place of Object.values(places)) {
      const [short, double] = [10_000, 20_000].map((chars) =>
        readsPerCharacter({ ...place(text.repeat(chars / text.length)), tools }),
      )
      expect(double).toBeLessThan(1.1 * short!)
    }
  })
})
