import { createServer } from 'node:net'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import type { ChatRequest } from '#lib/events/chat-request'
import { createAnthropicChat } from '#lib/models/anthropic-chat'
import type { ChatModel } from '#lib/models/chat-model'
import { readRetryAfter } from '#lib/models/model-call-error'
import { createOpenAiChat } from '#lib/models/openai-chat'
import { startAnthropicSimulator } from '../../simulators/anthropic-server.ts'
import type { Simulator, SimulatorOptions } from '../../simulators/model-server.ts'
import { startOpenAiSimulator } from '../../simulators/openai-server.ts'

const apis = {
  openai: {
    start: (options: SimulatorOptions) => startOpenAiSimulator(options),
    client: (url: string, apiKey: string, callTimeoutMs: number) =>
      createOpenAiChat({ baseUrl: `${url}/v1`, apiKey, callTimeoutMs }),
  },
  anthropic: {
    start: (options: SimulatorOptions) => startAnthropicSimulator(options),
    client: (url: string, apiKey: string, callTimeoutMs: number) =>
      createAnthropicChat({ baseUrl: url, apiKey, callTimeoutMs }),
  },
}
let simulator: Simulator | undefined
afterEach(() => simulator?.stop())

const request: ChatRequest = { messages: [{ role: 'user', content: 'a secret prompt' }], max_tokens: 7 }
const ask = (client: ChatModel, signal = new AbortController().signal) =>
  client.complete(request, { model: 'm', maxOutputTokens: 20, signal })

describe.each(Object.entries(apis))('%s', (_name, api) => {
  async function open(options: SimulatorOptions = {}, apiKey = 'test-key', callTimeoutMs = 10_000) {
    simulator = await api.start(options)
    return api.client(simulator.url, apiKey, callTimeoutMs)
  }

  test('an answer comes with its tokens', async () => {
    const { completion, promptTokens, completionTokens, standIn } = await ask(await open())
    expect(completion.choices[0]?.message.content).toBe('simulated')
    expect(promptTokens).toBeGreaterThan(0)
    expect(completionTokens).toBeGreaterThan(0)
    expect(standIn).toBe(false)
  })

  test.each([
    [{ rateLimitedPpm: 1_000_000, retryAfterS: 3 }, 'rate_limited', true, false, 3_000],
    [{ serverErrorPpm: 1_000_000 }, 'server_error', true, false, undefined],
    [{ cutOffPpm: 1_000_000 }, 'cut_off', true, true, undefined],
    [{ malformedPpm: 1_000_000 }, 'malformed', true, true, undefined],
    [{ slowPpm: 1_000_000, slowMs: 60_000 }, 'timeout', true, true, undefined],
  ] as const)('%j is %s', async (options, reason, transient, outcomeUnknown, retryAfterMs) => {
    const client = await open(options, 'test-key', 500)
    await expect(ask(client)).rejects.toMatchObject({ reason, transient, outcomeUnknown, retryAfterMs })
    expect(simulator?.arrivals).toHaveLength(1)
  })

  test('a wrong key is no reason to try again', async () => {
    await expect(ask(await open({}, 'wrong'))).rejects.toMatchObject({ reason: 'auth', transient: false })
  })

  test('the deadline and a cancelled call are told apart', async () => {
    const client = await open({ latencyMs: 60_000 })
    await expect(ask(client, AbortSignal.timeout(50))).rejects.toMatchObject({ reason: 'deadline' })
    const cancel = new AbortController()
    const cancelled = ask(client, cancel.signal)
    cancel.abort()
    await expect(cancelled).rejects.toMatchObject({ reason: 'cancelled' })
  })

  test('a server that is not there was never asked', async () => {
    const client = api.client(`http://127.0.0.1:${await closedPort()}`, 'test-key', 10_000)
    await expect(ask(client)).rejects.toMatchObject({ reason: 'unreachable', outcomeUnknown: false })
  })

  test('no error carries text of the prompt', async () => {
    const failed = await ask(await open({ malformedPpm: 1_000_000 })).catch((error: unknown) => error)
    expect(JSON.stringify(failed, Object.getOwnPropertyNames(failed))).not.toContain('secret')
  })
})

test('the request carries the limit decided and not the one asked for', async () => {
  simulator = await startOpenAiSimulator()
  await ask(createOpenAiChat({ baseUrl: `${simulator.url}/v1`, apiKey: 'test-key', tokenField: 'max_tokens' }))
  expect(simulator.arrivals[0]?.body).toEqual({ ...request, model: 'm', max_tokens: 20, stream: false })
})

test.each([
  [{ 'retry-after-ms': '1500', 'retry-after': '9' }, 1_500],
  [{ 'retry-after': '2' }, 2_000],
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:30 GMT' }, 20_000],
  [{ 'retry-after': 'soon' }, undefined],
  [{}, undefined],
])('Retry-After of %j is %j ms', (headers, expected) => {
  expect(readRetryAfter(new Headers(headers as Record<string, string>), 10_000)).toBe(expected)
})

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
