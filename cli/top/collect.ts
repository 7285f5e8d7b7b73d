import { decodeResult } from '#lib/client/decode-result'
import { listLanes, type ListedLane } from '#lib/client/list-lanes'
import { listResultsTopics } from '#lib/client/results-topics'
import { endOffsets, type ReadDeps } from '#lib/client/topic-range'
import type { OperatorOrder } from '#lib/control/orders'
import { createOrdersInForce } from '#lib/control/orders-in-force'
import type { Codec } from '#lib/events/codec'
import { inNamespace } from '#lib/events/topics'
import type { StepResult } from '#lib/events/types.generated'
import { abortable } from '#lib/stream/abortable'
import { createTail } from '#lib/stream/tail'
import { parsePrometheusText, type MetricSample } from '#lib/telemetry/prometheus-text'
import { messageOf } from '../report-error.ts'

/** Results of one tier and status. */
export interface Rate {
  /** `none` where no model was called. */
  tier: string
  status: string
  perSecond: number
  /** Since the view was opened. */
  total: number
}

export interface Spend {
  tenantId: string
  results: number
  /** Of the results that came since the view was opened. */
  costMicroUsd: number
}

export interface StageView {
  group: string
  lag: number
  /** Begun and not ended at the lanes' last commits. */
  incomplete: number
  /** Lanes that cannot open. */
  broken: number
}

export interface ProcessView {
  id: string
  url: string
  inFlight: number
  bufferedBytes: number
  /** Why it could not be asked; null where it answered. */
  problem: string | null
}

/** A backend of the pool or a provider's queue. */
export interface PlaceView {
  /** Backend or provider. */
  id: string
  model: string
  /** 1 where it is called, 0 where it is left alone, between them while a call tries it out; the least of all replicas. */
  usable: number
  /** Calls of the pool under way; jobs of a provider's queue. */
  load: number
}

/** What is to be seen at one moment. */
export interface Frame {
  atMs: number
  sinceMs: number
  rates: Rate[]
  spend: Spend[]
  stages: StageView[]
  processes: ProcessView[]
  places: PlaceView[]
  /** Steps that wait for a slot of a backend. */
  poolWaiting: number
  orders: OperatorOrder[]
  /** Why the lanes could not be read; null where they were. */
  problem: string | null
}

/** Over which rates are taken, ms. */
const rateWindowMs = 5_000

/** Counts results; a rate is that of the last seconds. */
export function createTally(startedAtMs: number) {
  const totals = new Map<string, { tier: string; status: string; total: number }>()
  const spend = new Map<string, Spend>()
  let marks: { atMs: number; totals: ReadonlyMap<string, number> }[] = [{ atMs: startedAtMs, totals: new Map() }]

  return {
    note({ tier, status, tenantId, costMicroUsd }: Pick<StepResult, 'tier' | 'status' | 'tenantId' | 'costMicroUsd'>) {
      const key = `${tier} ${status}`
      totals.set(key, { tier: tier ?? 'none', status, total: (totals.get(key)?.total ?? 0) + 1 })
      const of = spend.get(tenantId) ?? { tenantId, results: 0, costMicroUsd: 0 }
      spend.set(tenantId, { tenantId, results: of.results + 1, costMicroUsd: of.costMicroUsd + costMicroUsd })
    },
    frame(nowMs: number): Pick<Frame, 'atMs' | 'sinceMs' | 'rates' | 'spend'> {
      // The youngest mark that is as old as the window, or the oldest there is.
      const from = marks.findLast(({ atMs }) => nowMs - atMs >= rateWindowMs) ?? marks[0]!
      const seconds = Math.max(1, nowMs - from.atMs) / 1_000
      const rates = [...totals].map(([key, { tier, status, total }]) => {
        const perSecond = (total - (from.totals.get(key) ?? 0)) / seconds
        return { tier, status, perSecond, total }
      })
      const counted = new Map([...totals].map(([key, { total }]) => [key, total]))
      marks = [...marks.filter(({ atMs }) => atMs >= from.atMs), { atMs: nowMs, totals: counted }]
      return {
        atMs: nowMs,
        sinceMs: startedAtMs,
        rates: rates.toSorted((a, b) => b.total - a.total),
        spend: [...spend.values()].toSorted((a, b) => b.costMicroUsd - a.costMicroUsd || b.results - a.results),
      }
    },
  }
}

export function stagesOf(lanes: readonly ListedLane[]): StageView[] {
  return [...Map.groupBy(lanes, ({ group }) => group)].map(([group, of]) => ({
    group,
    lag: sum(of.map(({ lag }) => lag ?? 0)),
    incomplete: sum(of.map(({ incomplete }) => incomplete ?? 0)),
    broken: of.filter(({ state }) => state !== 'ok').length,
  }))
}

export function processOf(at: Pick<ProcessView, 'id' | 'url'>, samples: readonly MetricSample[]): ProcessView {
  const inFlight = total(samples, 'shunt_records_in_flight')
  return { ...at, inFlight, bufferedBytes: total(samples, 'shunt_buffered_bytes'), problem: null }
}

/** Backends add up over the replicas of the pool, each with slots of its own; a provider's queue is one for all. */
export function placesOf(samples: readonly MetricSample[]): PlaceView[] {
  const places = new Map<string, PlaceView>()
  const note = ({ labels }: MetricSample, change: (place: PlaceView) => void) => {
    const { backend, provider, model = '' } = labels
    const id = backend ?? provider ?? ''
    const place = places.get(`${id} ${model}`) ?? { id, model, usable: 1, load: 0 }
    change(place)
    places.set(`${id} ${model}`, place)
  }
  for (const sample of samples)
    if (sample.name === 'shunt_backend_usable' || sample.name === 'shunt_provider_usable')
      note(sample, (place) => (place.usable = Math.min(place.usable, sample.value)))
    else if (sample.name === 'shunt_backend_in_flight') note(sample, (place) => (place.load += sample.value))
    else if (sample.name === 'shunt_provider_queued')
      note(sample, (place) => (place.load = Math.max(place.load, sample.value)))
  return [...places.values()]
}

export interface TopSource extends AsyncDisposable {
  frame(): Promise<Frame>
}

/** Follows the results from now on, and asks lanes and services anew for each frame. Throws as `endOffsets`. */
export async function openTop(
  deps: ReadDeps & { codec: Codec; nowMs: () => number },
  options: { namespace: string; signal: AbortSignal; services: () => Pick<ProcessView, 'id' | 'url'>[] },
): Promise<TopSource> {
  const { namespace, signal } = options
  const results = await listResultsTopics(deps, namespace)
  const control = inNamespace(namespace, 'agent.control')
  const tally = createTally(deps.nowMs())
  const orders = createOrdersInForce(deps)
  const tail = createTail(deps, {
    topics: [...results, control],
    // Orders from their beginning: what stands may be old.
    from: await endOffsets(deps, results),
    groupPrefix: 'shunt-top',
    async onRecord(record) {
      if (record.topic === control) {
        if (record.value !== null) orders.take(await deps.codec.decode('control-order', record.value))
        return
      }
      const result = await decodeResult(deps, record)
      if (result) tally.note(result)
    },
  })
  try {
    await abortable(tail.caughtUp, signal)
  } catch (error) {
    await tail.stop()
    throw error
  }

  return {
    async frame() {
      const asked = options.services().map(async (at) => {
        try {
          const response = await fetch(`${at.url}/metrics`, { signal: AbortSignal.timeout(2_000) })
          const samples = parsePrometheusText(await response.text())
          return { process: processOf(at, samples), samples }
        } catch (error) {
          return { process: { ...processOf(at, []), problem: messageOf(error) }, samples: [] }
        }
      })
      const [lanes, answers] = await Promise.all([
        listLanes(deps, namespace).catch((error: unknown) => messageOf(error)),
        Promise.all(asked),
      ])
      const samples = answers.flatMap((answer) => answer.samples)
      return {
        ...tally.frame(deps.nowMs()),
        stages: typeof lanes === 'string' ? [] : stagesOf(lanes),
        processes: answers.map(({ process }) => process),
        places: placesOf(samples),
        poolWaiting: total(samples, 'shunt_pool_waiting'),
        orders: orders.list(),
        problem: typeof lanes === 'string' ? lanes : null,
      }
    },
    [Symbol.asyncDispose]: () => tail.stop(),
  }
}

function total(samples: readonly MetricSample[], name: string): number {
  return sum(samples.filter((sample) => sample.name === name).map(({ value }) => value))
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
