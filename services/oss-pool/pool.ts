import type { StepPriority } from '#lib/events/types.generated'
import type { ChatModel } from '#lib/models/chat-model'
import { reservedSlots } from '#lib/stream/capacity'
import { createFairQueue } from '#lib/stream/fair-queue'
import type { NamedPlace } from '#lib/worker/permits'
import { createHealth, healthDefaults, type Health, type HealthOptions } from './health.ts'
import { chooseBackend } from './rank-backends.ts'

/** A backend of the policy in force, with its client and what is known of it. */
export interface Backend extends NamedPlace {
  model: string
  /** Name that the server knows the model by. */
  modelName: string
  chat: ChatModel
  health: Health
  inFlight: number
  /** Of these, those of batch steps. */
  batchInFlight: number
  maxInFlight: number
  /** Every setting that makes it another backend when changed. */
  identity: string
  probeUrls: readonly string[]
  apiKey: string | undefined
}

export interface Wanted {
  model: string
  taskId: string
  /** Tenants take turns. */
  tenantId: string
  priority: StepPriority
  /** Asked at the moment a backend is given, and no later: the step may have waited through a change of policy. */
  permits: (place: NamedPlace) => boolean
  /** Not this one, while there is another: it has just failed. */
  avoid?: string | undefined
  /** How long to wait while all backends that could be given are ejected, ms; a pool that is only full is waited for. */
  waitMs: number
  signal: AbortSignal
}

export interface Pool {
  /** Takes over the backends of a policy; those that stay keep their health and their calls. */
  apply(backends: readonly BackendSpec[]): void
  /** Waits for a free slot. null where none came in `waitMs`. Rejects with the signal's reason. */
  acquire(wanted: Wanted): Promise<Backend | null>
  /** Gives the slot back, after the call was reported to `backend.health`. */
  release(backend: Backend, priority: StepPriority): void
  /** Lets those who wait look again, since time has passed: call it several times a second. */
  tick(): void
  /** How many wait. */
  waiting(): number
  backends(): readonly Backend[]
}

export type BackendSpec = Pick<
  Backend,
  keyof NamedPlace | 'model' | 'modelName' | 'chat' | 'maxInFlight' | 'identity' | 'probeUrls' | 'apiKey'
>

export interface PoolDeps {
  nowMs: () => number
  /** Of the policy in force: what batch steps get of the slots while both kinds wait, parts per million. */
  batchSharePpm: () => number
  /** Likewise: what batch steps leave free of each backend's slots, so that an interactive step finds one. */
  interactiveReservePpm: () => number
}

interface Waiter {
  wanted: Wanted
  /** Since when no backend that could be given is in use; undefined while one is. */
  strandedAtMs: number | undefined
  settle: (backend: Backend | null) => void
}

const million = 1_000_000

/**
 * Slots of the backends. Interactive steps go first; batch steps get their share of the grants while they wait, and never
 * the last slots of a backend, which a long batch call would keep from everyone. Within a priority tenants take turns, and
 * a tenant's steps go in order. One whose backends are all busy holds up no other.
 */
export function createPool(deps: PoolDeps, healthOptions: HealthOptions = healthDefaults): Pool {
  let backends: Backend[] = []
  const line = () => createFairQueue<Waiter>(({ wanted }) => wanted.tenantId)
  const waiting = { interactive: line(), batch: line() }
  let batchDuePpm = 0

  const serves = (backend: Backend, wanted: Wanted) => backend.model === wanted.model && wanted.permits(backend)

  function hasRoom({ inFlight, batchInFlight, maxInFlight }: Backend, priority: StepPriority): boolean {
    if (inFlight >= maxInFlight) return false
    return (
      priority === 'interactive' ||
      batchInFlight < maxInFlight - reservedSlots(maxInFlight, deps.interactiveReservePpm())
    )
  }

  function choose(wanted: Wanted): Backend | undefined {
    const usable = backends.filter((backend) => backend.health.available() && serves(backend, wanted))
    const others = usable.filter((backend) => backend.id !== wanted.avoid)
    return chooseBackend(
      (others.length === 0 ? usable : others).filter((backend) => hasRoom(backend, wanted.priority)),
      wanted.taskId,
    )
  }

  function take(backend: Backend, priority: StepPriority): Backend {
    backend.inFlight++
    if (priority === 'batch') backend.batchInFlight++
    backend.health.started()
    return backend
  }

  function grantFirst(priority: StepPriority): boolean {
    // Asked first: a full pool has hundreds waiting, and what each may use is costly to find out.
    const open = new Set<string>()
    for (const backend of backends)
      if (hasRoom(backend, priority) && backend.health.available()) open.add(backend.model)
    if (open.size === 0) return false
    for (const waiter of waiting[priority]) {
      if (!open.has(waiter.wanted.model)) continue
      const backend = choose(waiter.wanted)
      if (!backend) continue
      waiting[priority].take(waiter)
      waiter.settle(take(backend, priority))
      return true
    }
    return false
  }

  function grantOne(): boolean {
    const bothWait = waiting.interactive.size() > 0 && waiting.batch.size() > 0
    if (!bothWait) return grantFirst('interactive') || grantFirst('batch')
    const duePpm = Math.min(million, batchDuePpm + deps.batchSharePpm())
    if (duePpm >= million && grantFirst('batch')) {
      batchDuePpm = 0
      return true
    }
    if (!grantFirst('interactive')) return grantFirst('batch')
    batchDuePpm = duePpm
    return true
  }

  const waitingCount = () => waiting.interactive.size() + waiting.batch.size()
  const wake = () => {
    while (waitingCount() > 0 && grantOne());
  }

  /** Sends those away for whom every backend has been ejected for too long. */
  function dismissStranded(): void {
    const nowMs = deps.nowMs()
    for (const waiter of [...waiting.interactive, ...waiting.batch]) {
      const { wanted } = waiter
      const inUse = backends.some((backend) => serves(backend, wanted) && backend.health.state() !== 'ejected')
      waiter.strandedAtMs = inUse ? undefined : (waiter.strandedAtMs ?? nowMs)
      if (waiter.strandedAtMs === undefined || nowMs - waiter.strandedAtMs < wanted.waitMs) continue
      waiting[wanted.priority].remove(waiter)
      waiter.settle(null)
    }
  }

  return {
    apply(specs) {
      const known = new Map(backends.map((backend) => [backend.identity, backend]))
      backends = specs.map((spec) => {
        const kept = known.get(spec.identity)
        if (!kept) return { ...spec, inFlight: 0, batchInFlight: 0, health: createHealth(deps, healthOptions) }
        kept.maxInFlight = spec.maxInFlight
        return kept
      })
      wake()
    },
    acquire(wanted) {
      const nobodyWaits = waiting[wanted.priority].size() === 0
      const backend = nobodyWaits && !wanted.signal.aborted ? choose(wanted) : undefined
      if (backend) return Promise.resolve(take(backend, wanted.priority))
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          wanted,
          strandedAtMs: undefined,
          settle(given) {
            wanted.signal.removeEventListener('abort', giveUp)
            resolve(given)
          },
        }
        const giveUp = () => {
          waiting[wanted.priority].remove(waiter)
          reject(wanted.signal.reason as Error)
        }
        if (wanted.signal.aborted) return giveUp()
        wanted.signal.addEventListener('abort', giveUp, { once: true })
        waiting[wanted.priority].add(waiter)
      })
    },
    release(backend, priority) {
      backend.inFlight--
      if (priority === 'batch') backend.batchInFlight--
      wake()
    },
    tick() {
      wake()
      dismissStranded()
    },
    waiting: waitingCount,
    backends: () => backends,
  }
}
