import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { fastify, type FastifyInstance, type FastifyReply } from 'fastify'
import type { Logger } from '#lib/telemetry/logger'
import { writeAnswer, type Answer, type AnswerDeps, type AnswerEnd, type AnswerStep } from './answer.ts'
import { ApiError, fromHttpError, modelNotFound, notReady } from './api-error.ts'
import { createChunks, createHead, toCompletion, toEvent, type ResponseHead } from './chat-response.ts'
import type { GenerationRequest } from './generation-request.ts'
import type { InferenceMetrics } from './metrics.ts'
import { parseRequest } from './parse-request.ts'

export interface ServerDeps {
  /** Undefined while the model is loading. */
  engine: () => AnswerDeps | undefined
  metrics: InferenceMetrics
  log: Pick<Logger, 'info' | 'error'>
  nowMs: () => number
}

export interface ServerOptions {
  modelName: string
  maxBodyBytes: number
}

const SWEEP_MS = 100
/** nginx's number for a client that left before it was answered: in metrics and logs only. */
const CLIENT_LEFT = 499

/**
 * OpenAI's /v1/models and /v1/chat/completions over one model, with a model server's /health and every service's
 * /healthz, /readyz and /metrics beside them.
 */
export function createServer(deps: ServerDeps, options: ServerOptions): FastifyInstance {
  const { metrics } = deps
  const server = fastify({ logger: false, bodyLimit: options.maxBodyBytes, forceCloseConnections: 'idle' })
  const createdS = Math.floor(deps.nowMs() / 1_000)
  const modelCard = { id: options.modelName, object: 'model', created: createdS, owned_by: 'shunt' }

  endConnectionsAtClose(server)
  server.setErrorHandler((error, _request, reply) => sendError(reply, error))
  server.setNotFoundHandler((request, reply) =>
    sendError(
      reply,
      new ApiError(404, `Unknown request URL: ${request.method} ${request.url}`, { code: 'unknown_url' }),
    ),
  )
  // The first as model servers have it, the second as Shunt's services do.
  for (const path of ['/health', '/readyz'])
    server.get(path, (_request, reply) => {
      const counts = deps.engine()?.slots.counts()
      return reply.code(counts ? 200 : 503).send({ status: counts ? 'ok' : 'loading', ...counts })
    })
  server.get('/healthz', () => ({ status: 'ok' }))
  server.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
  server.get('/v1/models', () => ({ object: 'list', data: [modelCard] }))
  server.get<{ Params: { model: string } }>('/v1/models/:model', (request) => {
    if (request.params.model !== options.modelName) throw modelNotFound(request.params.model)
    return modelCard
  })
  server.post('/v1/chat/completions', async (request, reply) => {
    const startedAtMs = deps.nowMs()
    const engine = deps.engine()
    if (engine === undefined) throw notReady('The model is still loading')
    const asked = parseRequest(request.body, options.modelName)
    const left = new AbortController()
    reply.raw.once('close', () => left.abort(new Error('the client left')))
    const answer = writeAnswer(engine, asked, left.signal)
    const head = createHead(options.modelName, startedAtMs)
    const firstTold = (): void => metrics.firstTokenSeconds.observe((deps.nowMs() - startedAtMs) / 1_000)
    try {
      const end = asked.stream
        ? await sendStream(reply, answer, asked, head, firstTold, left.signal)
        : await sendWhole(reply, answer, asked, head, firstTold)
      if (end) count(end, startedAtMs)
    } catch (error) {
      if (!left.signal.aborted) throw error
      metrics.requests.inc({ status: CLIENT_LEFT })
    } finally {
      await answer.return(undefined as never)
    }
    return reply
  })

  function count(end: AnswerEnd, startedAtMs: number): void {
    const seconds = (deps.nowMs() - startedAtMs) / 1_000
    const { promptTokens, cachedTokens, completionTokens } = end.usage
    metrics.requests.inc({ status: 200 })
    metrics.promptTokens.inc(promptTokens)
    metrics.cachedTokens.inc(cachedTokens)
    metrics.completionTokens.inc(completionTokens)
    metrics.requestSeconds.observe(seconds)
    deps.log.info({ promptTokens, cachedTokens, completionTokens, seconds, finishReason: end.finishReason }, 'answered')
  }

  function sendError(reply: FastifyReply, error: unknown): FastifyReply {
    const told = fromHttpError(error) ?? serverError()
    if (!(error instanceof ApiError) && told.status === 500) deps.log.error({ err: error }, 'request failed')
    metrics.requests.inc({ status: told.status })
    if (told.retryAfterSeconds !== undefined) reply.header('retry-after', told.retryAfterSeconds)
    return reply.code(told.status).send(told.body)
  }

  async function sendStream(
    reply: FastifyReply,
    answer: Answer,
    asked: GenerationRequest,
    head: ResponseHead,
    firstTold: () => void,
    left: AbortSignal,
  ): Promise<AnswerEnd | undefined> {
    const chunks = createChunks(asked, head)
    // The first step tells whether there is an answer at all: until then an error still has its status.
    let next = await answer.next()
    firstTold()
    reply.hijack()
    const { raw } = reply
    raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
    raw.write(chunks.start())
    try {
      for (; next.done !== true; next = await answer.next()) await write(raw, chunks.step(next.value), left)
      raw.end(chunks.end(next.value))
      return next.value
    } catch (error) {
      if (left.aborted) throw error
      deps.log.error({ err: error }, 'stream failed')
      metrics.requests.inc({ status: 500 })
      raw.end(toEvent(serverError().body))
      return undefined
    }
  }

  return server
}

/**
 * A close answers what is under way, then ends the connections. Node alone would wait for those that fall idle after the
 * close has begun, or never carried a request, until the client drops them.
 */
function endConnectionsAtClose(server: FastifyInstance): void {
  let underWay = 0
  server.addHook('onRequest', (_request, reply, done) => {
    underWay++
    reply.raw.once('close', () => underWay--)
    done()
  })
  server.addHook('preClose', (done) => {
    const sweep = setInterval(() => {
      if (underWay === 0) server.server.closeAllConnections()
    }, SWEEP_MS)
    server.server.once('close', () => clearInterval(sweep))
    done()
  })
}

async function sendWhole(
  reply: FastifyReply,
  answer: Answer,
  asked: GenerationRequest,
  head: ResponseHead,
  firstTold: () => void,
): Promise<AnswerEnd> {
  const steps: AnswerStep[] = []
  let next = await answer.next()
  firstTold()
  for (; next.done !== true; next = await answer.next()) steps.push(next.value)
  reply.send(toCompletion(steps, next.value, asked, head))
  return next.value
}

/** Waits while the client reads slower than the model writes. */
async function write(raw: ServerResponse, text: string, left: AbortSignal): Promise<void> {
  if (!raw.write(text)) await once(raw, 'drain', { signal: left })
}

function serverError(): ApiError {
  return new ApiError(500, 'The server had an error while processing the request', { type: 'server_error' })
}
