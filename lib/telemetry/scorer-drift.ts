import { Gauge, type Registry } from 'prom-client'
import type { StepKind } from '#lib/events/types.generated'
import type { TrainedScorer } from '#lib/policy/policy-store'
import { createSlidingHistogram, type SlidingHistogram } from '#lib/routing/drift'
import type { ObservableName } from '#lib/routing/observables'
import type { Logger } from './logger.ts'

export interface ScorerDriftOptions {
  /** Steps that are compared with those that the scorer was trained on. @default 2_000 */
  window?: number
  /** Fewer say nothing yet. @default 500 */
  least?: number
  /** Steps from one look to the next. @default 100 */
  every?: number
}

/** Custom has it that the population is another one from here on (drift.ts). */
const driftedFrom = 0.25

/** Back below this, so that a value that wavers about the limit is told once. */
const settledBelow = 0.2

export interface ScorerDrift {
  /** A step that came to the trained scorer; `observed` is null where it left the step to the hand-set weights. */
  scored(kind: StepKind, observed: Readonly<Record<ObservableName, number>> | null, trained: TrainedScorer): void
}

/** What is held against one scorer. */
interface Watch {
  scorer: TrainedScorer
  histograms: SlidingHistogram[]
  drifted: Set<ObservableName>
  /** Of the window: 1 where the scorer has no labels of the step's kind. */
  foreign: Uint8Array
  foreignCount: number
  seen: number
  /** Of these, the ones that the scorer judged itself. */
  scored: number
}

/**
 * Says when the steps leave what the scorer was trained on: a gauge, and one line in the log when an observable has left
 * and one when it is back. A process sees the steps of its own lanes; over all replicas the largest value counts.
 */
export function createScorerDrift(
  deps: { registry: Registry; log: Pick<Logger, 'info' | 'warn'> },
  options: ScorerDriftOptions = {},
): ScorerDrift {
  const { window = 2_000, least = 500, every = 100 } = options
  const registers = [deps.registry]
  let watch: Watch | undefined
  // The hot path only counts; the index is reckoned when somebody asks, and once in `every` steps for the log.
  const index = new Gauge({
    name: 'shunt_scorer_drift_psi',
    help: 'Population stability index of the last steps against those that the scorer was trained on; 0.25 is drift.',
    labelNames: ['observable'],
    registers,
    collect() {
      this.reset()
      for (const histogram of watch?.histograms ?? [])
        if (histogram.size() >= least) this.set({ observable: histogram.name }, histogram.index())
    },
  })
  const foreign = new Gauge({
    name: 'shunt_scorer_foreign_kind_ratio',
    help: 'Share of the last steps whose kind the scorer has no labels of.',
    registers,
    collect() {
      if (watch && watch.seen > 0) this.set(watch.foreignCount / Math.min(watch.seen, window))
      else this.reset()
    },
  })
  void [index, foreign]

  function look({ scorer, histograms, drifted }: Watch): void {
    for (const histogram of histograms) {
      const { name } = histogram
      const psi = histogram.index()
      const told = { scorerHash: scorer.scorer.hash, observable: name, psi: Math.round(psi * 1_000) / 1_000 }
      if (psi >= driftedFrom && !drifted.has(name)) {
        drifted.add(name)
        deps.log.warn(told, 'the steps are not like those that the scorer was trained on')
      } else if (psi < settledBelow && drifted.delete(name)) {
        deps.log.info(told, 'the steps are again like those that the scorer was trained on')
      }
    }
  }

  return {
    scored(kind, observed, trained) {
      if (watch?.scorer !== trained) watch = newWatch(trained, window)
      const slot = watch.seen % window
      watch.foreignCount -= watch.foreign[slot]!
      watch.foreign[slot] = (trained.kinds[kind] ?? 0) > 0 ? 0 : 1
      watch.foreignCount += watch.foreign[slot]
      watch.seen += 1
      if (observed === null) return
      for (const histogram of watch.histograms) histogram.add(observed[histogram.name])
      watch.scored += 1
      if (watch.scored >= least && watch.scored % every === 0) look(watch)
    },
  }
}

function newWatch(scorer: TrainedScorer, window: number): Watch {
  return {
    scorer,
    histograms: scorer.reference.map((reference) => createSlidingHistogram(reference, window)),
    drifted: new Set(),
    foreign: new Uint8Array(window),
    foreignCount: 0,
    seen: 0,
    scored: 0,
  }
}
