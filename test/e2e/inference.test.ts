import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import type { Part } from '../../cli/stack/part.ts'
import { startInference } from '../../cli/stack/services.ts'

const MODEL = 'gemma-3-270m'
const CONTEXT_TOKENS = 1_024

let part: Part
let client: OpenAI
/** One sequence and no queue: the second request at a time is refused. */
let narrow: { part: Part; client: OpenAI }

beforeAll(async () => {
  const dir = inject('runDirectory')
  const env = {
    // Other tests keep the machine busy meanwhile, which threads that wait for each other bear badly.
    SHUNT_INFERENCE_THREADS: '1',
    SHUNT_INFERENCE_CONTEXT_TOKENS: String(CONTEXT_TOKENS),
    SHUNT_INFERENCE_MAX_BODY_BYTES: '50000',
  }
  const one = { ...env, SHUNT_INFERENCE_SEQUENCES: '1', SHUNT_INFERENCE_MAX_WAITING: '0' }
  part = await startInference({ dir, id: 'inference-wide', env })
  client = new OpenAI({ baseURL: part.address, apiKey: 'none', maxRetries: 0 })
  const narrowPart = await startInference({ dir, id: 'inference-narrow', env: one })
  narrow = { part: narrowPart, client: new OpenAI({ baseURL: narrowPart.address, apiKey: 'none', maxRetries: 0 }) }
})
afterAll(async () => {
  await Promise.all([part?.stop(), narrow?.part.stop()])
})

const user = (content: string) => ({ role: 'user' as const, content })
const assistant = (content: string) => ({ role: 'assistant' as const, content })
const examples = [
  {
    role: 'system' as const,
    content: 'Classify the claim: theft, fire, flood or collision. Answer with the label only.',
  },
  user('My bicycle was stolen from the garage.'),
  assistant('theft'),
  user('A river rose into the basement.'),
  assistant('flood'),
  user('Another driver hit my rear bumper.'),
  assistant('collision'),
]
const classify = {
  model: MODEL,
  messages: [...examples, user('The stove caught fire and the wall is burnt.')],
  max_tokens: 8,
}
const tools: OpenAI.ChatCompletionFunctionTool[] = [
  {
    type: 'function',
    function: {
      name: 'get_claim',
      description: 'Reads a claim by its number.',
      parameters: { type: 'object', properties: { claim_id: { type: 'string' } }, required: ['claim_id'] },
    },
  },
  {
    type: 'function',
    function: {
      name: 'get_policy',
      description: 'Reads an insurance policy by its number.',
      parameters: { type: 'object', properties: { policy_id: { type: 'string' } }, required: ['policy_id'] },
    },
  },
]
const openClaim = { model: MODEL, messages: [user('Look up claim C-1042.')], tools, max_tokens: 64 }
/** Goes on until it is cut: every answer is a list of numbers. */
const endless = { model: MODEL, messages: [user('Count.')], max_tokens: 600, response_format: numbers() }

function numbers() {
  const schema = {
    type: 'object',
    properties: { numbers: { type: 'array', items: { type: 'integer' }, minItems: 900 } },
    required: ['numbers'],
  }
  return { type: 'json_schema' as const, json_schema: { name: 'numbers', schema } }
}

describe('answers of the real model', () => {
  test('a few-shot classification is one bare word, the same each time', async () => {
    const first = await client.chat.completions.create(classify)
    const { message, finish_reason } = first.choices[0]!
    expect(finish_reason).toBe('stop')
    expect(message.content).toMatch(/^[a-z]+$/)
    const second = await client.chat.completions.create(classify)
    expect(second.choices[0]?.message.content).toBe(message.content)
  })

  test('a prompt that begins like an earlier one is read from where they part', async () => {
    await client.chat.completions.create(classify)
    const { usage } = await client.chat.completions.create({ ...classify, messages: [...examples, user('A flood.')] })
    const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0
    expect(usage?.prompt_tokens).toBeGreaterThan(cached)
    expect(cached).toBeGreaterThan(50)
  })

  test('log-probabilities are those of the tokens', async () => {
    const { choices, usage } = await client.chat.completions.create({ ...classify, logprobs: true, top_logprobs: 3 })
    const tokens = choices[0]?.logprobs?.content ?? []
    expect(tokens.length).toBeGreaterThan(0)
    expect(tokens.length).toBeLessThanOrEqual(usage?.completion_tokens ?? 0)
    for (const { token, logprob, top_logprobs: top } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0)
      expect(top).toHaveLength(3)
      // At temperature 0 the most likely one is taken.
      expect([top[0]?.token, top[0]?.logprob]).toEqual([token, expect.closeTo(logprob, 4)])
    }
  })

  test('max_tokens is the length of the answer', async () => {
    const { choices, usage } = await client.chat.completions.create({ ...endless, max_tokens: 10 })
    expect(choices[0]?.finish_reason).toBe('length')
    expect(usage?.completion_tokens).toBe(10)
  })

  test('a seed repeats a drawn answer', async () => {
    const drawn = { model: MODEL, messages: [user('Tell a story.')], max_tokens: 12, temperature: 1.2, seed: 7 }
    const texts = await Promise.all(
      [drawn, drawn, { ...drawn, seed: 8 }].map(async (request) => {
        const { choices } = await narrowly(request)
        return choices[0]?.message.content
      }),
    )
    expect(texts[0]).toBe(texts[1])
    expect(texts[2]).not.toBe(texts[0])
  })

  test('json_schema: a label out of the list', async () => {
    const schema = {
      type: 'object',
      properties: { label: { enum: ['theft', 'fire', 'flood'] } },
      required: ['label'],
      additionalProperties: false,
    }
    const { choices } = await client.chat.completions.create({
      ...classify,
      max_tokens: 32,
      response_format: { type: 'json_schema', json_schema: { name: 'label', strict: true, schema } },
    })
    const answer = JSON.parse(choices[0]?.message.content ?? '') as { label: string }
    expect(['theft', 'fire', 'flood']).toContain(answer.label)
  })

  test('four answers at a time do not mix', async () => {
    const requests = ['alpha', 'beta', 'gamma', 'delta'].map(async (word) => {
      const schema = { type: 'object', properties: { [word]: { const: word } }, required: [word] }
      const { choices } = await client.chat.completions.create({
        model: MODEL,
        messages: [user(`Say ${word}.`)],
        max_tokens: 32,
        response_format: { type: 'json_schema', json_schema: { name: 'word', schema } },
      })
      return choices[0]?.message.content
    })
    expect(await Promise.all(requests)).toEqual(
      ['alpha', 'beta', 'gamma', 'delta'].map((word) => `{"${word}": "${word}"}`),
    )
  })
})

/** One after the other on the narrow server, so that no other answer is computed beside it. */
let last: Promise<unknown> = Promise.resolve()
function narrowly(request: OpenAI.ChatCompletionCreateParamsNonStreaming): Promise<OpenAI.ChatCompletion> {
  const next = last.then(() => narrow.client.chat.completions.create(request))
  last = next
  return next
}

/** A tool's call and its result. */
function round(id: string, status: string): OpenAI.ChatCompletionMessageParam[] {
  return [
    user(`Look up claim ${id}.`),
    {
      role: 'assistant' as const,
      tool_calls: [
        { id: 'c', type: 'function' as const, function: { name: 'get_claim', arguments: `{"claim_id":"${id}"}` } },
      ],
    },
    { role: 'tool' as const, tool_call_id: 'c', content: `{"status":"${status}"}` },
  ]
}

describe('tool calls', () => {
  test('required: an offered tool and its arguments', async () => {
    const { choices } = await client.chat.completions.create({ ...openClaim, tool_choice: 'required' })
    const [call] = choices[0]?.message.tool_calls ?? []
    expect(choices[0]?.finish_reason).toBe('tool_calls')
    expect(call?.type).toBe('function')
    const { name, arguments: args } = (call as OpenAI.ChatCompletionMessageFunctionToolCall).function
    const key = name === 'get_claim' ? 'claim_id' : 'policy_id'
    expect(['get_claim', 'get_policy']).toContain(name)
    expect(JSON.parse(args)).toEqual({ [key]: expect.any(String) })
  })

  test('a named tool is the one that is called', async () => {
    const stream = client.chat.completions.stream({
      ...openClaim,
      tool_choice: { type: 'function', function: { name: 'get_policy' } },
    })
    const { choices } = await stream.finalChatCompletion()
    expect(choices[0]?.finish_reason).toBe('tool_calls')
    expect(choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: 'get_policy' } })
  })

  test('auto answers in words on the result of a tool', async () => {
    const messages = [...round('C-3000', 'open'), assistant('Claim C-3000 is open.'), ...round('C-1042', 'paid')]
    const { choices } = await client.chat.completions.create({ ...openClaim, messages })
    expect(choices[0]?.message.tool_calls).toBeUndefined()
    expect(choices[0]?.message.content).not.toBe('')
  })
})

test('a stream tells the same text, and its usage at the end', async () => {
  const whole = await client.chat.completions.create(classify)
  const chunks: OpenAI.ChatCompletionChunk[] = []
  const stream = await client.chat.completions.create({
    ...classify,
    stream: true,
    stream_options: { include_usage: true },
  })
  for await (const chunk of stream) chunks.push(chunk)
  expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(whole.choices[0]?.message.content)
  expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop')
  expect(chunks.at(-1)?.usage?.completion_tokens).toBe(whole.usage?.completion_tokens)
})

describe('refusals', () => {
  test('a prompt longer than the context', async () => {
    const messages = [user('word '.repeat(CONTEXT_TOKENS))]
    await expect(client.chat.completions.create({ model: MODEL, messages })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    })
  })

  test('another model', async () => {
    await expect(client.chat.completions.create({ ...classify, model: 'gpt-5' })).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    })
  })

  test('a large body', async () => {
    const messages = [user('x'.repeat(60_000))]
    await expect(client.chat.completions.create({ model: MODEL, messages })).rejects.toMatchObject({ status: 413 })
  })

  test('a full queue, until the client in front leaves', async () => {
    const left = new AbortController()
    const first = narrow.client.chat.completions.create(endless, { signal: left.signal })
    const busy = async (): Promise<number> => {
      const health = await fetch(new URL('/health', narrow.part.address))
      return ((await health.json()) as { busy: number }).busy
    }
    await vi.waitUntil(async () => (await busy()) === 1, { timeout: 30_000, interval: 50 })
    const refusal: unknown = await narrow.client.chat.completions.create(classify).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(OpenAI.RateLimitError)
    expect(Number((refusal as InstanceType<typeof OpenAI.RateLimitError>).headers?.get('retry-after'))).toBeGreaterThan(
      0,
    )
    left.abort()
    await expect(first).rejects.toThrow('aborted')
    await vi.waitUntil(async () => (await busy()) === 0, { timeout: 30_000, interval: 50 })
    await narrow.client.chat.completions.create(classify)
  })
})
