import { fastify } from 'fastify'
import type { Registry } from 'prom-client'

export interface OperationsDeps {
  metrics: Pick<Registry, 'metrics' | 'contentType'>
  /** Why the process can't do its work now; empty when it can. */
  notReady: () => string[]
}

export interface OperationsServer {
  url: string
  close(): Promise<void>
}

/**
 * What an operator's tools ask of a process: /healthz (it runs), /readyz (it does its work; 503 with the reasons where
 * it does not) and /metrics (Prometheus).
 */
export async function serveOperations(
  deps: OperationsDeps,
  options: { port: number; host: string },
): Promise<OperationsServer> {
  const server = fastify({ logger: false })
  server.get('/healthz', () => ({ status: 'ok' }))
  server.get('/readyz', async (_request, reply) => {
    const reasons = deps.notReady()
    return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons })
  })
  server.get('/metrics', async (_request, reply) =>
    reply.type(deps.metrics.contentType).send(await deps.metrics.metrics()),
  )
  const url = await server.listen(options)
  return { url, close: () => server.close() }
}
