import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerState } from '#lib/ledger/ledger-state'
import type { Logger } from '#lib/telemetry/logger'

export interface KeepLedgerDeps {
  state: Pick<LedgerState, 'ensure'>
  /** Tenants that must have a ledger; undefined while no policy is in force. */
  tenantIds: () => readonly string[] | undefined
  /** Whether Redis holds less than was committed. */
  isBehind: () => Promise<boolean>
  /** Null where another is at it. */
  rebuild: () => Promise<number | null>
  log: Pick<Logger, 'info' | 'warn'>
}

export interface LedgerKeeper extends AsyncDisposable {
  /** Look now, and not at the next turn: a policy came in force. */
  look(): void
  /** Redis came back: it may hold less than before. */
  doubt(): void
  /** Whether the ledger stood when it was looked at last. */
  stands(): boolean
}

const lookEveryMs = 1_000
const pauseAfterFailureMs = 2_000

/**
 * Sees that there is a ledger: gives new tenants theirs, and rebuilds what Redis has lost. Every replica does; one rebuilds
 * at a time.
 */
export function keepLedger(deps: KeepLedgerDeps): LedgerKeeper {
  const stop = new AbortController()
  let standing = false
  let doubted = true
  let wake: () => void = () => {}

  async function lookOnce(): Promise<void> {
    const tenantIds = deps.tenantIds()
    if (tenantIds === undefined) return
    const was = standing
    standing = await deps.state.ensure(tenantIds)
    if (standing && doubted && (await deps.isBehind())) {
      deps.log.warn('Redis holds less than was folded: it has rolled back')
      standing = false
    }
    if (standing) {
      doubted = false
      return
    }
    if (was) deps.log.warn('Redis has lost the ledger: it is folded anew from the log')
    standing = (await deps.rebuild()) !== null
    if (standing) doubted = false
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      let pauseMs = lookEveryMs
      try {
        await lookOnce()
      } catch (err) {
        if (stop.signal.aborted) return
        standing = false
        deps.log.warn({ err }, 'the ledger cannot be looked after')
        pauseMs = pauseAfterFailureMs
      }
      const woken = Promise.withResolvers<void>()
      wake = woken.resolve
      await Promise.race([woken.promise, sleep(pauseMs, undefined, { signal: stop.signal }).catch(() => {})])
    }
  }

  const running = run()
  return {
    look: () => wake(),
    doubt() {
      doubted = true
      wake()
    },
    stands: () => standing,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
