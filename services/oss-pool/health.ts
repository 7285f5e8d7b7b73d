/**
 * Whether a backend gets calls. `healthy` takes all; `ejected` none until its time is over; then `trial`: one call, and
 * what comes of it decides. Ejections in a row last longer each time.
 */
export interface Health {
  /** True where a call may be sent now. A call of a trial must be reported before the next is allowed. */
  available(): boolean
  /** A call is sent. */
  started(): void
  /** Ejections so far. A call is reported with the number at its start: what began before the last one tells nothing new. */
  epoch(): number
  succeeded(epoch: number): void
  failed(epoch: number): void
  /** The call said nothing of the backend's health: it was cancelled, or the request was at fault. */
  ended(epoch: number): void
  /** No call before this time, epoch ms: the backend asked for a pause. */
  pauseUntil(atMs: number): void
  /** A probe's answer. A bad one ejects as calls do; a good one ends an ejection early, with a trial. */
  probed(ok: boolean): void
  state(): 'healthy' | 'ejected' | 'trial'
  /** When a call may be sent again without a probe's help, epoch ms; 0 for now. */
  availableAtMs(): number
}

export interface HealthOptions {
  /** Failures in a row that eject. @default 3 */
  failuresToEject: number
  /** Length of the first ejection, ms; doubles with each. @default 2_000 */
  ejectMs: number
  /** @default 60_000 */
  maxEjectMs: number
}

export const healthDefaults: HealthOptions = { failuresToEject: 3, ejectMs: 2_000, maxEjectMs: 60_000 }

export function createHealth(deps: { nowMs: () => number }, options: HealthOptions = healthDefaults): Health {
  let failures = 0
  let epoch = 0
  /** In a row. */
  let ejections = 0
  let ejectedUntilMs = 0
  let pausedUntilMs = 0
  let onTrial = false

  const state = () => (ejections === 0 ? 'healthy' : deps.nowMs() < ejectedUntilMs ? 'ejected' : 'trial')
  const eject = () => {
    epoch++
    ejections++
    failures = 0
    onTrial = false
    ejectedUntilMs = deps.nowMs() + Math.min(options.maxEjectMs, options.ejectMs * 2 ** (ejections - 1))
  }
  const failed = (of: number) => {
    if (of !== epoch) return
    failures++
    if (state() === 'trial' || (ejections === 0 && failures >= options.failuresToEject)) eject()
  }
  return {
    available: () => deps.nowMs() >= pausedUntilMs && state() !== 'ejected' && !(state() === 'trial' && onTrial),
    started() {
      if (state() === 'trial') onTrial = true
    },
    epoch: () => epoch,
    succeeded(of) {
      if (of !== epoch || state() === 'ejected') return
      failures = 0
      ejections = 0
      onTrial = false
    },
    failed,
    ended(of) {
      if (of === epoch) onTrial = false
    },
    pauseUntil(atMs) {
      pausedUntilMs = Math.max(pausedUntilMs, atMs)
    },
    probed(ok) {
      if (!ok) failed(epoch)
      else if (state() === 'ejected') ejectedUntilMs = deps.nowMs()
    },
    state,
    availableAtMs: () => Math.max(pausedUntilMs, state() === 'ejected' ? ejectedUntilMs : 0),
  }
}
