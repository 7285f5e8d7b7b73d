import type { AddressInfo } from 'node:net'
import OpenAI from 'openai'
import { pino } from 'pino'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createInferenceMetrics } from '../../../services/inference/metrics.ts'
import { createServer } from '../../../services/inference/server.ts'
import { scriptedEngine, words, type ScriptedEngine } from './scripted-engine.ts'

const open: { close: () => Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()))
})

async function serve(engine: ScriptedEngine | undefined, maxBodyBytes = 100_000) {
  const metrics = createInferenceMetrics(() => engine?.slots.counts() ?? { busy: 0, waiting: 0 })
  const deps = { engine: () => engine, metrics, log: pino({ level: 'silent' }), nowMs: Date.now }
  const server = createServer(deps, { modelName: 'm', maxBodyBytes })
  open.push(server)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
  const post = (body: unknown) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  return { url, client, post }
}

const ask = { model: 'm', messages: [{ role: 'user' as const, content: 'Hello' }] }
const tools = [{ type: 'function' as const, function: { name: 'get_claim', parameters: { type: 'object' } } }]

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { wait: () => promise, open: resolve }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

async function readText(url: string): Promise<string> {
  return (await fetch(url)).text()
}

describe('a whole answer', () => {
  test('has the form of a chat.completion', async () => {
    const { client } = await serve(scriptedEngine({ pieces: words('Good', ' day') }))
    const completion = await client.chat.completions.create(ask)
    expect(completion).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'm',
      choices: [
        {
          index: 0,
          finish_reason: 'stop',
          logprobs: null,
          message: { role: 'assistant', content: 'Good day', refusal: null },
        },
      ],
      usage: {
        prompt_tokens: 28,
        completion_tokens: 2,
        total_tokens: 30,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    })
  })

  test('a tool call has no content', async () => {
    const { client } = await serve(scriptedEngine({ pieces: words('get_', 'claim{', '"id": "C-1"}') }))
    const { choices } = await client.chat.completions.create({ ...ask, tools, tool_choice: 'required' })
    expect(choices[0]?.finish_reason).toBe('tool_calls')
    expect(choices[0]?.message.content).toBeNull()
    expect(choices[0]?.message.tool_calls).toEqual([
      {
        id: expect.stringMatching(/^call_/),
        type: 'function',
        function: { name: 'get_claim', arguments: '{"id": "C-1"}' },
      },
    ])
  })

  test('says when it was cut', async () => {
    const { client } = await serve(scriptedEngine({ pieces: words('Good'), end: 'length' }))
    const { choices } = await client.chat.completions.create({ ...ask, max_tokens: 1 })
    expect(choices[0]?.finish_reason).toBe('length')
  })

  test('holds the model to the tokens, the grammar and the sampling that were asked for', async () => {
    const engine = scriptedEngine({ pieces: words('{}') })
    const { client } = await serve(engine)
    await client.chat.completions.create({
      ...ask,
      max_completion_tokens: 9,
      temperature: 0.5,
      seed: 3,
      response_format: { type: 'json_object' },
    })
    expect(engine.asked[0]).toMatchObject({ maxTokens: 9, sampling: { temperature: 0.5, seed: 3 } })
    expect(engine.asked[0]?.grammar).toContain('root ::= object')
  })

  test('log-probabilities are told for each token, with the most likely others', async () => {
    const piece = { text: 'hi', logprob: -0.5, top: [{ text: 'hi', logprob: -0.5 }] }
    const { client } = await serve(scriptedEngine({ pieces: [piece] }))
    const { choices } = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 1 })
    const token = { token: 'hi', logprob: -0.5, bytes: [104, 105] }
    expect(choices[0]?.logprobs?.content).toEqual([{ ...token, top_logprobs: [token] }])
  })
})

describe('a stream', () => {
  test('is what OpenAI sends, to the letter', async () => {
    const { post } = await serve(scriptedEngine({ pieces: words('Good', ' day') }))
    const response = await post({ ...ask, stream: true, stream_options: { include_usage: true } })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const lines = (await response.text()).split('\n\n')
    expect(lines.at(-1)).toBe('')
    expect(lines.at(-2)).toBe('data: [DONE]')
    const chunks = lines
      .slice(0, -2)
      .map((line) => JSON.parse(line.slice('data: '.length)) as OpenAI.ChatCompletionChunk)
    expect(chunks.every((chunk) => chunk.object === 'chat.completion.chunk' && chunk.id === chunks[0]?.id)).toBe(true)
    expect(chunks.map((chunk) => chunk.choices[0]?.delta)).toEqual([
      { role: 'assistant', content: '', refusal: null },
      { content: 'Good' },
      { content: ' day' },
      {},
      undefined,
    ])
    expect(chunks.map((chunk) => chunk.choices[0]?.finish_reason)).toEqual([null, null, null, 'stop', undefined])
    expect(chunks.map((chunk) => chunk.usage?.total_tokens)).toEqual([undefined, undefined, undefined, undefined, 30])
  })

  test('a tool call arrives name first, then its arguments', async () => {
    const { client } = await serve(scriptedEngine({ pieces: words('get_claim{', '"id": "C-1"}') }))
    const stream = client.chat.completions.stream({ ...ask, tools, tool_choice: 'required' })
    const completion = await stream.finalChatCompletion()
    expect(completion.choices[0]?.finish_reason).toBe('tool_calls')
    expect(completion.choices[0]?.message.tool_calls?.[0]).toMatchObject({
      function: { name: 'get_claim', arguments: '{"id": "C-1"}' },
    })
  })

  test('a failure in the middle ends it with an error', async () => {
    const { post } = await serve(scriptedEngine({ pieces: [...words('Good'), new Error('secret of the backend')] }))
    const text = await (await post({ ...ask, stream: true })).text()
    expect(text).toContain('"type":"server_error"')
    expect(text).not.toContain('secret')
    expect(text).not.toContain('[DONE]')
  })
})

describe('errors', () => {
  test.each([
    ['an unknown model', { ...ask, model: 'x' }, 404, 'model_not_found'],
    ['no messages', { model: 'm' }, 400, 'missing_required_parameter'],
    ['an unknown field', { ...ask, best_of: 3 }, 400, 'unknown_parameter'],
    ['too long a prompt', { ...ask, max_tokens: 990 }, 400, 'context_length_exceeded'],
    ['no JSON', '{"model": ', 400, null],
    ['a large body', { ...ask, user: 'x'.repeat(100_000) }, 413, 'request_too_large'],
  ])('%s', async (_name, body, status, code) => {
    const { post } = await serve(scriptedEngine({ pieces: words('x') }))
    const response = await post(body)
    expect(response.status).toBe(status)
    expect(await response.json()).toEqual({
      error: {
        message: expect.any(String),
        type: 'invalid_request_error',
        param: expect.toBeOneOf([null, expect.any(String)]),
        code,
      },
    })
  })

  test('an unknown address', async () => {
    const { url } = await serve(scriptedEngine({ pieces: [] }))
    const response = await fetch(`${url}/v1/embeddings`, { method: 'POST' })
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ error: { code: 'unknown_url' } })
  })

  test('our own failure is a bare 500', async () => {
    const { post } = await serve(scriptedEngine({ pieces: [new Error('secret of the backend')] }))
    const response = await post(ask)
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('secret')
  })

  test('while the model is loading', async () => {
    const { client, url } = await serve(undefined)
    await expect(client.chat.completions.create(ask)).rejects.toMatchObject({ status: 503, code: 'not_ready' })
    expect((await fetch(`${url}/health`)).status).toBe(503)
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })
})

describe('the queue', () => {
  test('a full one answers 429 with Retry-After, and takes requests again afterwards', async () => {
    const { wait, open } = gate()
    const engine = scriptedEngine({ pieces: words('x'), gate: wait })
    const { client, post } = await serve(engine)
    const first = client.chat.completions.create(ask)
    await vi.waitUntil(() => engine.slots.counts().busy === 1)
    const refused = await post(ask)
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'queue_full' } })
    open()
    await first
    expect((await post(ask)).status).toBe(200)
  })

  test.each([true, false])('a client that leaves frees its sequence (stream: %s)', async (stream) => {
    const engine = scriptedEngine({ pieces: words('a', 'b'), gate: untilAborted })
    const { client, url } = await serve(engine)
    const left = new AbortController()
    const answer = client.chat.completions.create({ ...ask, stream }, { signal: left.signal })
    await vi.waitUntil(() => engine.asked.length === 1)
    left.abort()
    await expect(answer).rejects.toThrow('aborted')
    await vi.waitUntil(() => engine.slots.counts().busy === 0)
    await vi.waitUntil(async () => (await readText(`${url}/metrics`)).includes('requests_total{status="499"} 1'))
  })

  test('a client that leaves while it waits loses its place', async () => {
    const { wait, open } = gate()
    const engine = scriptedEngine({ pieces: words('x'), gate: wait }, { maxWaiting: 1 })
    const { client } = await serve(engine)
    const first = client.chat.completions.create(ask)
    await vi.waitUntil(() => engine.slots.counts().busy === 1)
    const left = new AbortController()
    const second = client.chat.completions.create(ask, { signal: left.signal })
    await vi.waitUntil(() => engine.slots.counts().waiting === 1)
    left.abort()
    await expect(second).rejects.toThrow('aborted')
    await vi.waitUntil(() => engine.slots.counts().waiting === 0)
    open()
    await first
  })
})

test('models, health and metrics', async () => {
  const { client, url } = await serve(scriptedEngine({ pieces: words('x') }))
  await client.chat.completions.create(ask)
  const { data } = await client.models.list()
  expect(data.map((model) => model.id)).toEqual(['m'])
  expect((await client.models.retrieve('m')).object).toBe('model')
  await expect(client.models.retrieve('x')).rejects.toMatchObject({ status: 404 })
  for (const path of ['health', 'readyz'])
    expect(await (await fetch(`${url}/${path}`)).json()).toEqual({ status: 'ok', slots: 1, busy: 0, waiting: 0 })
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
  const metrics = await readText(`${url}/metrics`)
  expect(metrics).toContain('shunt_inference_requests_total{status="200"} 1')
  expect(metrics).toContain('shunt_inference_completion_tokens_total 1')
})
