import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'
import { describeError, type Logger } from '#lib/telemetry/logger'

const everyMs = 1_000
/** A replica that has said nothing for so long counts no more. */
const staleMs = 10_000

const keyOf = (namespace: string) => inNamespace(namespace, 'ledger:lag')

interface LagDeps {
  redis: Redis
  namespace: string
  nowMs: () => number
  log: Pick<Logger, 'debug'>
}

/** Says once a second how old the newest record is that this replica has folded while there are others; 0 for none. */
export function tellLedgerLag(deps: LagDeps & { replica: string }, lagMs: () => number): Disposable {
  const timer = setInterval(() => {
    const said = `${Math.round(lagMs())} ${deps.nowMs()}`
    deps.redis.hset(keyOf(deps.namespace), deps.replica, said).catch((error: unknown) => {
      deps.log.debug({ err: describeError(error) }, 'cannot say how far the ledger is')
    })
  }, everyMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** How far the slowest replica of the ledger lags, ms; null while none says so. */
export function followLedgerLag(deps: LagDeps): { lagMs(): number | null } & Disposable {
  let lag: number | null = null
  const timer = setInterval(() => {
    deps.redis.hvals(keyOf(deps.namespace)).then(
      (values) => void (lag = worstOf(values, deps.nowMs())),
      () => void (lag = null),
    )
  }, everyMs)
  return { lagMs: () => lag, [Symbol.dispose]: () => clearInterval(timer) }
}

/** Each value is `<lag> <when it was said>`, ms. */
export function worstOf(values: readonly string[], nowMs: number): number | null {
  const fresh = values.map((value) => value.split(' ').map(Number)).filter(([, atMs]) => atMs! > nowMs - staleMs)
  return fresh.length === 0 ? null : Math.max(...fresh.map(([lagMs]) => lagMs!))
}
