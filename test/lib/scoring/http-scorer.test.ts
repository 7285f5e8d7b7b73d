import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createHttpFetch } from '#lib/models/http-fetch'
import { createHttpScorer, type HttpScorer, type HttpScorerOptions } from '#lib/scoring/http-scorer'
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

describe('the circuit breaker', () => {
  /** Answers with what `status` is at the time; while `held` is there, once that resolves. */
  async function unreliable(options: Partial<HttpScorerOptions> = {}) {
    const state = { status: 500, asked: 0, held: null as Promise<void> | null }
    const scorer = await scorerOf(
      (request, response) => {
        state.asked++
        const { status, held } = state
        void (held ?? Promise.resolve()).then(() => answering('{"gain":0.1}', status)(request, response))
      },
      { failuresToOpen: 3, openMs: 10_000, ...options },
    )
    return { state, scorer }
  }
  // The breaker's clock alone: the network keeps its own.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
  afterEach(() => void vi.useRealTimers())
  const later = (ms: number) => vi.setSystemTime(Date.now() + ms)
  const askTimes = async (scorer: HttpScorer, times: number) => {
    const answers = []
    for (let i = 0; i < times; i++) answers.push(await scorer.ask(question))
    return answers
  }
  const refused = { fallback: 'refused' }
  const open = { fallback: 'breaker_open' }
  const answered = { pSuccessPpm: null, gainPpm: 100_000 }
  const isOpen = (answer: object) => 'fallback' in answer && answer.fallback === open.fallback

  test('leaves a scorer alone that failed so many times in a row, for its whole time', async () => {
    const { state, scorer } = await unreliable()
    expect(await askTimes(scorer, 4)).toEqual([refused, refused, refused, open])
    later(9_999)
    expect(await askTimes(scorer, 2)).toEqual([open, open])
    expect(state.asked).toBe(3)
  })

  test('lets one question try after that, and the others wait for what it comes to', async () => {
    const { state, scorer } = await unreliable()
    await askTimes(scorer, 3)
    later(10_000)
    const first = Promise.withResolvers<void>()
    state.held = first.promise
    state.status = 200
    const asked = [1, 2, 3].map(() => scorer.ask(question))
    await waitUntil(() => state.asked > 3, 'the trial to arrive')
    expect(state.asked).toBe(4)
    first.resolve()
    expect(await Promise.all(asked)).toEqual([answered, answered, answered])
    expect(state.asked).toBe(6)

    // It is closed: it takes as many failures as before to open it.
    state.status = 500
    expect(await askTimes(scorer, 4)).toEqual([refused, refused, refused, open])
  })

  test('is open for its whole time again where the trial fails', async () => {
    const { state, scorer } = await unreliable()
    await askTimes(scorer, 3)
    later(10_000)
    expect(await Promise.all([scorer.ask(question), scorer.ask(question)])).toEqual([refused, open])
    later(9_999)
    expect(await askTimes(scorer, 1)).toEqual([open])
    later(1)
    state.status = 200
    expect(await askTimes(scorer, 2)).toEqual([answered, answered])
    expect(state.asked).toBe(6)
  })

  test('is opened by answers that do not come in time, and no step waits longer for a trial than for an answer', async () => {
    const { state, scorer } = await unreliable({ timeoutMs: 50 })
    state.held = new Promise(() => {})
    const late = { fallback: 'timeout' }
    expect(await askTimes(scorer, 3)).toEqual([late, late, late])
    // The step goes on when its time is over, a moment before its question is counted as failed.
    await waitUntil(async () => isOpen(await scorer.ask(question)), 'the breaker to open')
    expect(state.asked).toBeLessThanOrEqual(4)
    later(10_000)
    const [trial, behind] = await Promise.all([scorer.ask(question), scorer.ask(question)])
    expect([trial, late, open]).toContainEqual(behind)
    expect(trial).toEqual(late)
  })

  test('is not opened by questions that the scorer refuses, nor by failures with an answer between them', async () => {
    const { state, scorer } = await unreliable()
    state.status = 422
    expect(await askTimes(scorer, 5)).toEqual(Array.from({ length: 5 }, () => refused))
    for (const status of [500, 500, 200, 500, 500]) {
      state.status = status
      await scorer.ask(question)
    }
    state.status = 200
    expect(await scorer.ask(question)).toEqual(answered)
  })
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
