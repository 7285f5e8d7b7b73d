import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'
import { describeError, type Logger } from '#lib/telemetry/logger'

const everyMs = 1_000
/** A replica that has said nothing for so long counts no more. */
const staleMs = 5_000

const keyOf = (namespace: string) => inNamespace(namespace, 'ledger:unreachable')

interface StatesDeps {
  redis: Redis
  namespace: string
  nowMs: () => number
  log: Pick<Logger, 'debug'>
}

/** Says once a second which models this replica cannot reach: at every provider of theirs the circuit breaker is open. */
export function tellUnreachable(deps: StatesDeps & { replica: string }, models: () => readonly string[]): Disposable {
  const timer = setInterval(() => {
    // No id of a model holds a blank.
    const said = [deps.nowMs(), ...models()].join(' ')
    deps.redis.hset(keyOf(deps.namespace), deps.replica, said).catch((error: unknown) => {
      deps.log.debug({ err: describeError(error) }, 'cannot say which models are out of reach')
    })
  }, everyMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Models that no replica can reach at present, as far as they say. */
export function followUnreachable(deps: StatesDeps): { models(): readonly string[] } & Disposable {
  let known: readonly string[] = []
  const timer = setInterval(() => {
    deps.redis.hvals(keyOf(deps.namespace)).then(
      (values) => void (known = unreachableToAll(values, deps.nowMs())),
      () => void (known = []),
    )
  }, everyMs)
  return { models: () => known, [Symbol.dispose]: () => clearInterval(timer) }
}

/** Each value is `<when it was said, ms> <model>…`. */
export function unreachableToAll(values: readonly string[], nowMs: number): string[] {
  const [first, ...others] = values
    .map((value) => value.split(' '))
    .filter(([atMs]) => Number(atMs) > nowMs - staleMs)
    .map(([, ...models]) => models)
  return (first ?? []).filter((model) => others.every((models) => models.includes(model))).toSorted()
}
