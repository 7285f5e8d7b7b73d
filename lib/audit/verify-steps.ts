import { findingOf, formatPlace, placeOf, type FindingCode, type Report } from './findings.ts'
import type { StepRow } from './step-records.ts'

/** What can be said of steps, given what was read. Times are epoch ms, of the records. */
export interface StepLimits {
  /** Steps that came before are not whole in what was read; -Infinity where all was. */
  startMs: number
  /** What was read ends here. */
  endMs: number
  /** A step without an end is open until its last record is so old at `endMs`. */
  openForMs: number
  /** Results before are no longer kept; -Infinity where all are. */
  resultsFromMs: number
}

/** How far a step's records go. */
export type StepState = 'complete' | 'duplicate' | 'open' | 'not verifiable' | 'wrong'

/**
 * Records of one step lie in several partitions of two topics, which are read one after the other, and were written by
 * hosts whose clocks differ: so near to a bound of what was read, some may lie on its other side.
 */
export const settleMs = 60_000

type Of<Kind extends StepRow['kind']> = Extract<StepRow, { kind: Kind }>

interface StepRows {
  decisions: Of<'decision'>[]
  calls: Of<'attempt'>[]
  outcomes: Of<'outcome' | 'result'>[]
  results: Of<'outcome' | 'result'>[]
  duplicates: number
  /** Orders of operators by which it was decided again. */
  requeues: number
  /** When the last of them was written. */
  lastMs: number
}

/** All records of one step, by its own record: is it told from its decision to its one result? */
export function verifyStep(rows: readonly StepRow[], limits: StepLimits, report: Report): StepState {
  const first = rows[0]!
  if (first.beganAtMs !== null && first.beganAtMs < limits.startMs + settleMs) return 'not verifiable'
  const step = sorted(rows)
  const state = stateOf(step, limits)
  if (state !== null) return state
  const name = `step ${first.stepId} of tenant ${first.tenantId}`
  const problems = problemsOf(step, limits)
  const mayCome = step.lastMs > limits.endMs - settleMs && problems.every(([code]) => ofAbsence.has(code))
  if (problems.length > 0 && mayCome) return 'open'
  for (const [code, row, sentence] of problems) {
    const topic = row.kind === 'result' ? 'of the results' : 'of the audit'
    report(findingOf(code, `${name} ${sentence} (${formatPlace(row)} ${topic})`, placeOf(row)))
  }
  if (problems.length > 0) return 'wrong'
  const isKept = step.outcomes[0]!.timestampMs >= limits.resultsFromMs
  return isKept || step.results.length > 0 ? 'complete' : 'not verifiable'
}

function sorted(rows: readonly StepRow[]): StepRows {
  const step: StepRows = {
    decisions: [],
    calls: [],
    outcomes: [],
    results: [],
    duplicates: 0,
    requeues: 0,
    lastMs: -Infinity,
  }
  for (const row of rows) {
    step.lastMs = Math.max(step.lastMs, row.timestampMs)
    if (row.kind === 'decision') step.decisions.push(row)
    else if (row.kind === 'attempt') step.calls.push(row)
    else if (row.kind === 'outcome') step.outcomes.push(row)
    else if (row.kind === 'result') step.results.push(row)
    else if (row.kind === 'requeue') step.requeues += 1
    else step.duplicates += 1
  }
  return step
}

/** Of a step that cannot be judged, or that has nothing to judge; else null. */
function stateOf(
  { decisions, calls, outcomes, results, duplicates, lastMs }: StepRows,
  limits: StepLimits,
): StepState | null {
  if (outcomes.length > 0 || results.length > 0) return null
  // Of an order that names a step which nobody knows there is nothing to tell.
  if (decisions.length === 0 && calls.length === 0) return duplicates > 0 ? 'duplicate' : 'not verifiable'
  return lastMs > limits.endMs - limits.openForMs ? 'open' : null
}

/** What a record that is still to come makes good: also an order, which the ledger takes up in its own time. */
const ofAbsence: ReadonlySet<FindingCode> = new Set([
  'decision_missing',
  'decision_repeated',
  'attempt_missing',
  'cost_differs',
  'outcome_missing',
  'result_missing',
])

type Problem = [code: FindingCode, row: StepRow, sentence: string]

function problemsOf(step: StepRows, limits: StepLimits): Problem[] {
  const { decisions, calls, outcomes, results } = step
  const [outcome] = outcomes
  const problems: Problem[] = []
  if (!outcome) {
    const [row] = [...results, ...decisions, ...calls]
    const what = results.length > 0 ? 'has a result, and no end in the audit' : 'was decided, and has no end'
    return [['outcome_missing', row!, what]]
  }
  if (outcomes.length > 1) problems.push(['outcome_repeated', outcomes[1]!, `has ${outcomes.length} ends`])
  problems.push(...ofDecisions(step, outcome), ...ofCalls(calls, outcome))
  const [result] = results
  if (!result && outcome.timestampMs >= limits.resultsFromMs)
    problems.push(['result_missing', outcome, `ended as ${outcome.status}, and has no result`])
  if (results.length > 1) problems.push(['result_repeated', results[1]!, `has ${results.length} results`])
  if (result && toldOf(result) !== toldOf(outcome))
    problems.push(['result_differs', result, `has the result ${toldOf(result)}, and its end is ${toldOf(outcome)}`])
  return problems
}

/**
 * One decision an attempt; one more where the last ended the step, and for each order by which it was decided again. What
 * is rejected was never decided.
 */
function ofDecisions({ decisions, requeues }: StepRows, end: Of<'outcome' | 'result'>): Problem[] {
  const problems: Problem[] = []
  const byAttempt = Map.groupBy(decisions, ({ attempt }) => attempt)
  const decidedToEnd = end.status === 'refused' || (end.status === 'expired' && end.attempts === 0)
  const expected = end.status === 'completed' ? Math.max(1, end.attempts) : end.attempts + (decidedToEnd ? 1 : 0)
  const missing = firstMissing(byAttempt, expected)
  if (missing !== null) problems.push(['decision_missing', end, `has no decision of attempt ${missing}`])
  for (const [attempt, rows] of byAttempt)
    if (rows.length > 1 + requeues)
      problems.push(['decision_repeated', rows[1]!, `was decided ${rows.length} times for attempt ${attempt}`])
  return problems
}

/**
 * Each attempt that the end counts has its records, one for each of its calls from 1 on; none is there twice, and their costs
 * add up to the step's.
 */
function ofCalls(calls: StepRows['calls'], end: Of<'outcome' | 'result'>): Problem[] {
  const problems: Problem[] = []
  const seen = new Set<string>()
  const byAttempt = Map.groupBy(calls, ({ attempt }) => attempt)
  const missing = firstMissing(byAttempt, Math.max(end.attempts, end.status === 'completed' ? 1 : 0))
  if (missing !== null) problems.push(['attempt_missing', end, `has no record of attempt ${missing}`])
  for (const [attempt, rows] of byAttempt) {
    const numbers = new Set(rows.map(({ callNo }) => callNo))
    const call = firstMissing(numbers, Math.max(...numbers))
    if (call !== null) problems.push(['attempt_missing', rows[0]!, `has no record of attempt ${attempt} call ${call}`])
  }
  for (const row of calls) {
    const call = `attempt ${row.attempt} call ${row.callNo}`
    if (seen.has(call)) problems.push(['attempt_repeated', row, `has ${call} twice`])
    seen.add(call)
    if (row.attempt > end.attempts)
      problems.push(['result_differs', row, `has ${call}, and its end counts ${end.attempts} attempts`])
  }
  const cost = calls.reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0)
  if (cost !== end.costMicroUsd)
    problems.push(['cost_differs', end, `cost ${end.costMicroUsd} micro-USD, and its attempts ${cost}`])
  return problems
}

/** Of the numbers from 1 to `last`; a record may claim any number, so that not all of them are counted through. */
function firstMissing(numbers: { has(number: number): boolean }, last: number): number | null {
  for (let number = 1; number <= last; number += 1) if (!numbers.has(number)) return number
  return null
}

function toldOf({ status, code, attempts, costMicroUsd, finishedAtMs }: Of<'outcome' | 'result'>): string {
  const as = code === null ? status : `${status} (${code})`
  const spent = `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'} for ${costMicroUsd} micro-USD`
  return `${as} after ${spent} at ${finishedAtMs}`
}
