import { curveFigures, type CurveFigures, type Outcomes, type Ranking } from './routing-curve.ts'
import { seededRandom } from './seeded-random.ts'

export interface Interval {
  low: number
  high: number
}

export interface BootstrapOptions {
  seed: number
  /** @default 1_000 */
  draws?: number
  /** Of the two-sided interval. @default 0.9 */
  confidence?: number
}

export const bootstrapDefaults = { draws: 1_000, confidence: 0.9 } as const

/** What is drawn of one ranking. */
export interface BootstrapSample {
  /** By draw; a draw without a gap between the models has none and is left out of all rankings alike. */
  figures: CurveFigures[]
}

/**
 * Percentile bootstrap (Efron 1979) over the labelled steps: each draw takes as many, with replacement, and every
 * ranking is measured on the same ones, so that two can be compared pair by pair. What it tells is how far the figures
 * would move with other labels of the same kind; the scorer itself stays, so another training run is not in it.
 * A generator, since it may take seconds: it yields after each draw.
 */
export function* bootstrap(
  rankings: readonly Ranking[],
  outcomes: Outcomes,
  { seed, draws = bootstrapDefaults.draws }: BootstrapOptions,
): Generator<void, BootstrapSample[]> {
  const random = seededRandom(seed)
  const size = outcomes.oss.length
  const samples = rankings.map((): BootstrapSample => ({ figures: [] }))
  const counts = new Uint32Array(size)
  for (let draw = 0; draw < draws; draw++) {
    counts.fill(0)
    for (let i = 0; i < size; i++) counts[Math.floor(random() * size)]! += 1
    for (const [i, ranking] of rankings.entries()) {
      const { figures } = curveFigures(ranking, outcomes, counts)
      // Without a gap in this draw no ranking has figures.
      if (!figures) break
      samples[i]!.figures.push(figures)
    }
    yield
  }
  return samples
}

/** Interval of a figure. null where fewer than half of the draws had one: the labels do not show that there is a gap. */
export function intervalOf(
  sample: BootstrapSample,
  name: keyof CurveFigures,
  { draws = bootstrapDefaults.draws, confidence = bootstrapDefaults.confidence }: Omit<BootstrapOptions, 'seed'> = {},
): Interval | null {
  return percentileInterval(
    sample.figures.map((figures) => figures[name]),
    draws,
    confidence,
  )
}

/** Interval of the difference a − b, draw by draw on the same steps. */
export function pairedInterval(
  a: BootstrapSample,
  b: BootstrapSample,
  name: keyof CurveFigures,
  { draws = bootstrapDefaults.draws, confidence = bootstrapDefaults.confidence }: Omit<BootstrapOptions, 'seed'> = {},
): Interval | null {
  return percentileInterval(
    a.figures.map((figures, i) => figures[name] - b.figures[i]![name]),
    draws,
    confidence,
  )
}

function percentileInterval(values: readonly number[], draws: number, confidence: number): Interval | null {
  if (values.length === 0 || values.length < draws / 2) return null
  const sorted = values.toSorted((a, b) => a - b)
  const tail = (1 - confidence) / 2
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) }
}

/** Between the two nearest of sorted values (type 7 of Hyndman and Fan). */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1)
  const below = Math.floor(at)
  const low = sorted[below]!
  return low + (at - below) * ((sorted[below + 1] ?? low) - low)
}
