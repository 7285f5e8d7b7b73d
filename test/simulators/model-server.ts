import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import { setTimeout as sleep } from 'node:timers/promises'
import { calm, drawFault, seededRandom, type Behaviour, type Fault } from './faults.ts'

/** A request as it came in, counted before anything else is done with it: a client that hangs up has arrived too. */
export interface Arrival {
  atMs: number
  path: string
  headers: FastifyRequest['headers']
  body: unknown
}

export interface Simulator {
  /** Without a slash at the end. */
  url: string
  arrivals: readonly Arrival[]
  /** Most requests that were worked on at one time. */
  peak: () => number
  /** Changes what happens from the next request on. */
  behave: (behaviour: Partial<Behaviour>) => void
  stop: () => Promise<void>
}

export interface SimulatorOptions extends Partial<Behaviour> {
  /** @default 0: a free one */
  port?: number
  seed?: number
  /** The key that is asked for. @default 'test-key' */
  apiKey?: string
  /** Whether arrivals are kept, or only their number; a benchmark makes too many. @default true */
  keepArrivals?: boolean
  /** A request whose last message contains it takes `slowMs`. */
  slowMarker?: string
}

/** What an API adds to the server that all share. */
export interface Dialect {
  /** The path that takes a request. */
  path: string
  keyOf: (request: FastifyRequest) => string | undefined
  /** A body and its status for a request that is refused. */
  error: (status: number, kind: 'auth' | 'invalid' | 'rate_limited' | 'server', message: string) => object
  /** The answer, or what is wrong with the request. */
  answer: (body: unknown, headers: FastifyRequest['headers']) => { answer: object } | { problem: string }
  models?: () => object
}

export async function startSimulator(dialect: Dialect, options: SimulatorOptions = {}): Promise<Simulator> {
  const { port = 0, seed = 1, apiKey = 'test-key', keepArrivals = true, slowMarker, ...given } = options
  let behaviour: Behaviour = { ...calm, ...given }
  const random = seededRandom(seed)
  const arrivals: Arrival[] = []
  let count = 0
  let busy = 0
  let peak = 0
  const app = fastify({ logger: false, bodyLimit: 32 * 1024 * 1024, forceCloseConnections: true })

  app.get('/health', () => ({ status: 'ok' }))
  app.get('/simulator/arrivals', () => ({ count, peak }))
  if (dialect.models) app.get('/v1/models', dialect.models)

  app.post(dialect.path, async (request, reply) => {
    count++
    if (keepArrivals)
      arrivals.push({ atMs: Date.now(), path: request.url, headers: request.headers, body: request.body })
    if (dialect.keyOf(request) !== apiKey)
      return reply.code(401).send(dialect.error(401, 'auth', 'the API key is wrong or missing'))
    const checked = dialect.answer(request.body, request.headers)
    if ('problem' in checked) return reply.code(400).send(dialect.error(400, 'invalid', checked.problem))
    const drawn = isMarked(request.body, slowMarker) ? 'slow' : drawFault(behaviour, random)
    const fault = busy >= behaviour.slots ? 'rate_limited' : drawn
    busy++
    peak = Math.max(peak, busy)
    try {
      return await act(fault, checked.answer, reply)
    } finally {
      busy--
    }
  })

  async function act(fault: Fault, answer: object, reply: FastifyReply): Promise<unknown> {
    const { latencyMs, slowMs, retryAfterS } = behaviour
    if (fault === 'rate_limited')
      return reply
        .code(429)
        .header('retry-after', String(retryAfterS))
        .send(dialect.error(429, 'rate_limited', 'rate limit reached'))
    const waitMs = fault === 'slow' ? slowMs : latencyMs
    if (waitMs > 0) await sleep(waitMs)
    if (fault === 'server_error') return reply.code(500).send(dialect.error(500, 'server', 'the server had an error'))
    if (fault === 'malformed') return reply.header('content-type', 'application/json').send('{"id": "x", "choi')
    if (fault !== 'cut_off') return reply.send(answer)
    const text = JSON.stringify(answer)
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    reply.raw.write(text.slice(0, text.length / 2), () => reply.raw.destroy())
    return reply
  }

  const url = await app.listen({ host: '127.0.0.1', port })
  return {
    url,
    arrivals,
    peak: () => peak,
    behave: (changes) => {
      behaviour = { ...behaviour, ...changes }
    },
    stop: () => app.close(),
  }
}

function isMarked(body: unknown, marker: string | undefined): boolean {
  if (marker === undefined) return false
  const { messages } = body as { messages: unknown[] }
  return JSON.stringify(messages.at(-1)).includes(marker)
}
