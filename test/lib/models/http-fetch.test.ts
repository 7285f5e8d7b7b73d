import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import OpenAI from 'openai'
import { Agent, errors } from 'undici'
import { afterEach, expect, test } from 'vitest'
import { createHttpFetch } from '#lib/models/http-fetch'
import { toModelCallError } from '#lib/models/model-call-error'
import { createOpenAiChat } from '#lib/models/openai-chat'

const httpFetch = createHttpFetch()

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('method, headers and body arrive, and status, headers and body come back', async () => {
  const url = await serve((request, response) => {
    response.writeHead(418, { 'x-method': request.method, 'x-key': request.headers['x-key'], 'set-cookie': ['a', 'b'] })
    request.pipe(response)
  })
  const answer = await httpFetch(url, { method: 'POST', headers: { 'x-key': 'k' }, body: '{"ä":1}' })
  expect(answer.status).toBe(418)
  expect(answer.headers.get('x-method')).toBe('POST')
  expect(answer.headers.get('x-key')).toBe('k')
  expect(answer.headers.get('set-cookie')).toBe('a, b')
  expect(await answer.json()).toEqual({ ä: 1 })
})

test('an answer without a body is one', async () => {
  const url = await serve((_request, response) => response.writeHead(204).end())
  expect((await httpFetch(url)).status).toBe(204)
})

test('a redirect is not followed: it could lead out of the region', async () => {
  let elsewhere = 0
  const url = await serve((request, response) => {
    if (request.url === '/elsewhere') elsewhere++
    response.writeHead(307, { location: '/elsewhere' }).end()
  })
  const chat = createOpenAiChat({ baseUrl: `${url}/v1` })
  const signal = new AbortController().signal
  const asked = chat.complete(
    { messages: [{ role: 'user', content: 'x' }] },
    { model: 'm', maxOutputTokens: 1, signal },
  )
  await expect(asked).rejects.toMatchObject({ reason: 'bad_request', message: 'HTTP 307' })
  expect(elsewhere).toBe(0)
})

test('a body without an end is no answer, and is not read to it', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  let sent = 0
  const url = await serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const more = () => {
      while (!response.destroyed && response.write(chunk)) sent++
    }
    response.on('drain', more)
    more()
  })
  const chat = createOpenAiChat({ baseUrl: `${url}/v1` })
  const signal = new AbortController().signal
  const asked = chat.complete(
    { messages: [{ role: 'user', content: 'x' }] },
    { model: 'm', maxOutputTokens: 1, signal },
  )
  await expect(asked).rejects.toMatchObject({ reason: 'malformed' })
  expect(sent).toBeLessThan(64)
})

test('an aborted signal ends the call', async () => {
  const url = await serve(() => {})
  await expect(httpFetch(url, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'TimeoutError' })
})

test('a host that never answers was never asked, whatever the SDK makes of the word time-out', async () => {
  const connect = (_options: unknown, done: (error: Error, socket: null) => void) =>
    done(new errors.ConnectTimeoutError('Connect Timeout Error'), null)
  const fetch = createHttpFetch(new Agent({ connect }))
  const client = new OpenAI({ baseURL: 'http://gpu.invalid/v1', apiKey: 'none', maxRetries: 0, fetch })
  const failed: unknown = await client.models.list().catch((error: unknown) => error)
  const { reason, outcomeUnknown } = toModelCallError(failed, new AbortController().signal)
  expect({ reason, outcomeUnknown }).toEqual({ reason: 'unreachable', outcomeUnknown: false })
})
