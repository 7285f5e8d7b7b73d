import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createHttpFetch } from '#lib/models/http-fetch'
import { createHttpScorer, type HttpScorerOptions } from '#lib/scoring/http-scorer'
import { waitUntil } from '../../support/wait-until.ts'

const closing: (() => void)[] = []
afterEach(() => closing.splice(0).forEach((close) => close()))

const question = {
  stepId: 's',
  kind: 'unknown' as const,
  messages: [{ role: 'user' as const, content: 'hi' }],
  tools: [],
}

async function scorerOf(listener: RequestListener, options: Partial<HttpScorerOptions> = {}) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`
  return createHttpScorer(
    { fetch: createHttpFetch() },
    { url, apiKey: 'k', timeoutMs: 2_000, maxInFlight: 4, ...options },
  )
}

const answering =
  (body: string, status = 200): RequestListener =>
  (request, response) => {
    request.resume().on('end', () => response.writeHead(status).end(body))
  }

test('the step is sent and its answer comes back in parts per million', async () => {
  let seen = ''
  let key: string | undefined
  const scorer = await scorerOf((request, response) => {
    key = request.headers.authorization
    request.on('data', (chunk: Buffer) => (seen += chunk.toString()))
    request.on('end', () => response.end('{"pSuccess":0.25,"gain":-0.5}'))
  })
  expect(await scorer.ask(question)).toEqual({ pSuccessPpm: 250_000, gainPpm: -500_000 })
  expect(JSON.parse(seen)).toEqual(question)
  expect(key).toBe('Bearer k')
})

test.each([
  ['no JSON', 'NaN'],
  ['out of range', '{"pSuccess":1.5}'],
  ['no number', '{"pSuccess":"0.5"}'],
  ['nothing that is asked for', '{}'],
])('an answer that is %s is none', async (_, body) => {
  expect(await (await scorerOf(answering(body))).ask(question)).toEqual({ fallback: 'answer_invalid' })
})

test('an answer that does not come in time is none', async () => {
  const scorer = await scorerOf(() => {}, { timeoutMs: 50 })
  expect(await scorer.ask(question)).toEqual({ fallback: 'timeout' })
})

test('a status other than 200 is told as refused, a server that is not there as unreachable', async () => {
  expect(await (await scorerOf(answering('', 404))).ask(question)).toEqual({ fallback: 'refused' })
  const gone = createHttpScorer(
    { fetch: createHttpFetch() },
    { url: 'http://127.0.0.1:1/', apiKey: null, timeoutMs: 2_000, maxInFlight: 1 },
  )
  expect(await gone.ask(question)).toEqual({ fallback: 'unreachable' })
})

test('a scorer that fails again and again is left alone', async () => {
  let asked = 0
  const scorer = await scorerOf(
    (request, response) => {
      asked++
      answering('', 500)(request, response)
    },
    { failuresToOpen: 2, openMs: 60_000 },
  )
  await scorer.ask(question)
  await scorer.ask(question)
  expect(await scorer.ask(question)).toEqual({ fallback: 'breaker_open' })
  expect(asked).toBe(2)
})

test('no more questions are under way than the policy allows, and what comes beyond those that wait is not asked', async () => {
  const held: (() => void)[] = []
  let [underWay, most] = [0, 0]
  const scorer = await scorerOf(
    (request, response) => {
      most = Math.max(most, ++underWay)
      held.push(() => {
        underWay--
        answering('{"gain":0.1}')(request, response)
      })
    },
    { maxInFlight: 2, timeoutMs: 10_000 },
  )
  // Two under way and eight that wait for them.
  const asked = Array.from({ length: 10 }, () => scorer.ask(question))
  expect(await scorer.ask(question)).toEqual({ fallback: 'overloaded' })
  let answered = 0
  for (const each of asked) void each.then(() => answered++)
  await waitUntil(() => {
    held.splice(0).forEach((answer) => answer())
    return answered === 10
  }, 'all that were accepted to be answered')
  for (const answer of await Promise.all(asked)) expect(answer).toEqual({ pSuccessPpm: null, gainPpm: 100_000 })
  expect(most).toBe(2)
})

test('a question that waits for its turn ends in time too', async () => {
  const scorer = await scorerOf(() => {}, { maxInFlight: 1, timeoutMs: 100 })
  const answers = await Promise.all([scorer.ask(question), scorer.ask(question)])
  expect(answers).toEqual([{ fallback: 'timeout' }, { fallback: 'timeout' }])
})
