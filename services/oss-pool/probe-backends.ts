import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#lib/telemetry/logger'
import type { Backend, Pool } from './pool.ts'

export interface ProbeOptions {
  /** Between two rounds, ms. @default 2_000 */
  everyMs: number
  /** For one answer, ms. @default 2_000 */
  timeoutMs: number
}

export const probeDefaults: ProbeOptions = { everyMs: 2_000, timeoutMs: 2_000 }

/** Asks every backend for its health until `stop`. What it says counts as calls do. */
export async function probeBackends(
  deps: { pool: Pool; log: Pick<Logger, 'info' | 'warn'> },
  options: ProbeOptions,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    await Promise.all(deps.pool.backends().map((backend) => probe(deps, backend, options)))
    deps.pool.tick()
    await sleep(options.everyMs, undefined, { signal: stop }).catch(() => undefined)
  }
}

async function probe(
  deps: { log: Pick<Logger, 'info' | 'warn'> },
  backend: Backend,
  options: ProbeOptions,
): Promise<void> {
  const before = backend.health.state()
  backend.health.probed(await answersWell(backend, options.timeoutMs))
  const after = backend.health.state()
  if (before === after) return
  const fields = { backend: backend.id, model: backend.model, health: after }
  if (after === 'ejected') deps.log.warn(fields, 'backend ejected')
  else deps.log.info(fields, 'backend may be tried again')
}

/** /health of vLLM, SGLang, llama.cpp and the embedded one; /v1/models of those that have no such page (Ollama). */
async function answersWell(backend: Backend, timeoutMs: number): Promise<boolean> {
  for (const url of backend.probeUrls) {
    const status = await statusOf(url, backend.apiKey, timeoutMs)
    if (status === undefined) return false
    if (status !== 404 && status !== 405) return status < 500
  }
  return true
}

async function statusOf(url: string, apiKey: string | undefined, timeoutMs: number): Promise<number | undefined> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(timeoutMs),
      ...(apiKey !== undefined && { headers: { authorization: `Bearer ${apiKey}` } }),
    })
    await response.body?.cancel()
    return response.status
  } catch {
    return undefined
  }
}
