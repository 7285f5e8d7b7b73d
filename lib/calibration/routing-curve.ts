/**
 * How good a ranking of steps is, whatever threshold is set later: sort by score, send the first share s to the frontier
 * model, the rest to the open one (Ong et al., RouteLLM, arXiv:2406.18665). accuracy(s) is the mean of whichever model
 * is used; PGR(s) = (accuracy(s) − oss) / (frontier − oss); CPTx is the smallest s with PGR ≥ x; APGR is the mean of
 * PGR over s from 0 to 1, by the trapezoid rule over every step. A random ranking has APGR 0.5.
 *
 * Ties: steps of equal score are sent in random order, and each figure is of the expected curve over those orders: a
 * straight line across the tie. So a constant score is the random ranking, whatever the order of the file.
 */

/** A step, its place in a ranking, and what escalating it changes: 1, 0 or −1 right answers. */
export interface Outcomes {
  oss: readonly boolean[]
  frontier: readonly boolean[]
}

/** Items in order of falling score; `ends[b]` is where the tie b ends, and the next begins. */
export interface Ranking {
  order: Uint32Array
  ends: Uint32Array
}

export interface CurveFigures {
  apgr: number
  cpt50: number
  cpt80: number
}

/** Figures of a ranking, or why there are none. */
export type CurveResult = { figures: CurveFigures; reason: null } | { figures: null; reason: string }

export interface CurvePoint {
  /** Of steps sent to the frontier model, 0 to 1. */
  share: number
  accuracy: number
}

/** Throws RangeError for a score that is no number: it has no place. */
export function rankByScore(scores: readonly number[]): Ranking {
  for (const score of scores) if (Number.isNaN(score)) throw new RangeError('a score is not a number')
  const order = Uint32Array.from(scores.keys()).toSorted((a, b) => scores[b]! - scores[a]!)
  const ends: number[] = []
  for (let at = 1; at <= order.length; at++)
    if (at === order.length || scores[order[at]!] !== scores[order[at - 1]!]) ends.push(at)
  return { order, ends: Uint32Array.from(ends) }
}

/**
 * The ranking within groups: each step by its place among its own group alone, so that every share takes the same share
 * of each group. What a scorer has from telling groups apart is gone: a prior by group has APGR 0.5 here.
 * Why not a figure per group? Those of a hundred steps each are mostly noise, and have none where the group's frontier
 * accuracy is no better; here each step counts once.
 */
export function rankWithinGroups(scores: readonly number[], groups: readonly (string | null)[]): Ranking {
  const members = new Map<string | null, number[]>()
  groups.forEach((group, i) => {
    const found = members.get(group)
    if (found) found.push(i)
    else members.set(group, [i])
  })
  const places = Array.from<number>({ length: scores.length })
  for (const indices of members.values()) {
    const { order, ends } = rankByScore(indices.map((i) => scores[i]!))
    let start = 0
    for (const end of ends) {
      // The middle of the tie, as a share of the group.
      const place = (start + end) / 2 / indices.length
      for (let at = start; at < end; at++) places[indices[order[at]!]!] = place
      start = end
    }
  }
  return rankByScore(places.map((place) => -place))
}

/** By what escalation will turn out to be worth: no router does better. */
export function rankByOracle(outcomes: Outcomes): Ranking {
  return rankByScore(outcomes.frontier.map((frontier, i) => Number(frontier) - Number(outcomes.oss[i])))
}

/** `counts`: how often each item is taken, for a bootstrap; without, once. */
export function curveFigures(ranking: Ranking, outcomes: Outcomes, counts?: Uint32Array): CurveResult {
  const segments = segmentsOf(ranking, outcomes, counts)
  let steps = 0
  let total = 0
  for (const { length, gain } of segments) {
    steps += length
    total += gain
  }
  if (steps === 0) return { figures: null, reason: 'no step has both outcomes' }
  if (total <= 0)
    return { figures: null, reason: 'the frontier model is right no more often than the open one: there is no gap' }
  let area = 0
  let sum = 0
  for (const { length, gain } of segments) {
    area += length * (sum + gain / 2)
    sum += gain
  }
  return {
    figures: {
      apgr: area / (steps * total),
      cpt50: firstReaching(0.5 * total, segments) / steps,
      cpt80: firstReaching(0.8 * total, segments) / steps,
    },
    reason: null,
  }
}

/** Accuracy at every share where the expected curve bends, from all-OSS to all-frontier. */
export function curvePoints(ranking: Ranking, outcomes: Outcomes): CurvePoint[] {
  const steps = ranking.order.length
  let right = outcomes.oss.filter(Boolean).length
  let sent = 0
  const points = [{ share: 0, accuracy: right / steps }]
  for (const { length, gain } of segmentsOf(ranking, outcomes)) {
    sent += length
    right += gain
    points.push({ share: sent / steps, accuracy: right / steps })
  }
  return points
}

/** Accuracy at a share, between the points that lie beside it. */
export function accuracyAt(points: readonly CurvePoint[], share: number): number {
  const after = points.findIndex((point) => point.share >= share)
  if (after <= 0) return points[Math.max(0, after)]!.accuracy
  const [a, b] = [points[after - 1]!, points[after]!]
  return a.accuracy + ((b.accuracy - a.accuracy) * (share - a.share)) / (b.share - a.share)
}

/** Steps of one tie, and the right answers that sending them all adds. */
interface Segment {
  length: number
  gain: number
}

function segmentsOf({ order, ends }: Ranking, { oss, frontier }: Outcomes, counts?: Uint32Array): Segment[] {
  const segments: Segment[] = []
  let at = 0
  for (const end of ends) {
    let length = 0
    let gain = 0
    for (; at < end; at++) {
      const item = order[at]!
      const count = counts ? counts[item]! : 1
      length += count
      gain += count * (Number(frontier[item]) - Number(oss[item]))
    }
    if (length > 0) segments.push({ length, gain })
  }
  return segments
}

/** Sums are whole numbers but for the target: less than this is rounding. */
const epsilon = 1e-9

/** The fewest steps to send for `target` right answers more, in expectation. */
function firstReaching(target: number, segments: readonly Segment[]): number {
  let sent = 0
  let sum = 0
  for (const { length, gain } of segments) {
    if (sum + gain >= target - epsilon) return sent + Math.ceil(((target - sum) * length) / gain - epsilon)
    sent += length
    sum += gain
  }
  return sent
}
