import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import { setTimeout as sleep } from 'node:timers/promises'
import { calm, drawFault, drawLatencyMs, seededRandom, type Behaviour, type Fault } from './faults.ts'
import {
  createProviderAccount,
  type AccountOptions,
  type AccountReport,
  type CountedRequest,
  type ProviderAccount,
  type RequestSize,
} from './provider-account.ts'

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
  /** What the provider counted and billed. */
  account: Pick<ProviderAccount, 'usage' | 'report'>
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
  /** Limits and prices. @default none */
  account?: AccountOptions
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
  answer: (body: unknown, headers: FastifyRequest['headers']) => Answered | { problem: string }
  models?: () => object
}

export interface Answered {
  answer: object
  /** Before the answer, and after it. */
  size: RequestSize
  used: RequestSize
}

/** What `GET /simulator/report` tells. */
export interface SimulatorReport extends AccountReport {
  arrivals: number
  /** Most at one time. */
  peak: number
  /** Steps that arrived more than once, with how often. */
  repeated: Record<string, number>
}

export async function startSimulator(dialect: Dialect, options: SimulatorOptions = {}): Promise<Simulator> {
  const {
    port = 0,
    seed = 1,
    apiKey = 'test-key',
    keepArrivals = true,
    slowMarker,
    account: limits,
    ...given
  } = options
  let behaviour: Behaviour = { ...calm, ...given }
  const random = seededRandom(seed)
  const arrivals: Arrival[] = []
  const account = createProviderAccount(limits ?? {})
  const arrivalsOf = new Map<string, number>()
  let count = 0
  let busy = 0
  let peak = 0
  const app = fastify({ logger: false, bodyLimit: 32 * 1024 * 1024, forceCloseConnections: true })

  app.get('/health', () => ({ status: 'ok' }))
  app.get('/simulator/arrivals', () => ({ count, peak }))
  app.get('/simulator/report', (): SimulatorReport => {
    const repeated = Object.fromEntries([...arrivalsOf].filter(([, times]) => times > 1))
    return { ...account.report(), arrivals: count, peak, repeated }
  })
  app.get<{ Querystring: { fromMs: string; toMs: string } }>('/simulator/usage', ({ query }) =>
    account.usage(Number(query.fromMs), Number(query.toMs)),
  )
  if (dialect.models) app.get('/v1/models', dialect.models)

  app.post(dialect.path, async (request, reply) => {
    if (behaviour.jitterMs > 0) await sleep(random() * behaviour.jitterMs)
    count++
    const step = stepOf(request.body)
    if (step !== undefined) arrivalsOf.set(step, (arrivalsOf.get(step) ?? 0) + 1)
    if (keepArrivals)
      arrivals.push({ atMs: Date.now(), path: request.url, headers: request.headers, body: request.body })
    if (dialect.keyOf(request) !== apiKey)
      return reply.code(401).send(dialect.error(401, 'auth', 'the API key is wrong or missing'))
    const checked = dialect.answer(request.body, request.headers)
    if ('problem' in checked) return reply.code(400).send(dialect.error(400, 'invalid', checked.problem))
    const drawn = isMarked(request.body, slowMarker) ? 'slow' : drawFault(behaviour, random)
    const counted = account.arrived(checked.size)
    void reply.headers(counted.headers)
    const fault = counted.refusedForMs !== null || busy >= behaviour.slots ? 'rate_limited' : drawn
    busy++
    peak = Math.max(peak, busy)
    try {
      return await act(fault, checked, counted, reply)
    } finally {
      busy--
    }
  })

  async function act(
    fault: Fault,
    { answer, used }: Answered,
    counted: CountedRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const { slowMs, retryAfterS } = behaviour
    if (fault === 'rate_limited')
      return reply
        .code(429)
        .header('retry-after', String(Math.ceil((counted.refusedForMs ?? 0) / 1_000) || retryAfterS))
        .send(dialect.error(429, 'rate_limited', 'rate limit reached'))
    const waitMs = fault === 'slow' ? slowMs : drawLatencyMs(behaviour, random)
    if (waitMs > 0) await sleep(waitMs)
    if (fault === 'server_error') return reply.code(500).send(dialect.error(500, 'server', 'the server had an error'))
    // What breaks on the way back was answered all the same.
    counted.answered(used)
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
    account,
    behave: (changes) => {
      behaviour = { ...behaviour, ...changes }
    },
    stop: async () => {
      account.stop()
      await app.close()
    },
  }
}

function isMarked(body: unknown, marker: string | undefined): boolean {
  if (marker === undefined) return false
  const { messages } = body as { messages: unknown[] }
  return JSON.stringify(messages.at(-1)).includes(marker)
}

/** Prompts of the tests name their step: `step ID …`. */
function stepOf(body: unknown): string | undefined {
  const { messages } = (body ?? {}) as { messages?: unknown[] }
  return /"step ([\w.-]+)[ "]/.exec(JSON.stringify(messages ?? []))?.[1]
}
