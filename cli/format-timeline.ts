import type { TaskTimeline, TimelineEntry } from '#lib/client/task-timeline'
import type { Attempt, DecisionRecord } from '#lib/events/types.generated'
import { formatDuration, formatPpm, formatTime, formatUsd, plural } from './output.ts'

/** A task's timeline as lines: time, step, what happened. */
export function formatTimeline({ taskId, entries, results, costMicroUsd }: TaskTimeline): string[] {
  const width = Math.max(0, ...entries.map(({ stepId }) => stepId.length))
  const steps = new Set([...entries, ...results].map(({ tenantId, stepId }) => `${tenantId}\0${stepId}`)).size
  return [
    `task ${taskId}: ${plural(steps, 'step')}, ${plural(results.length, 'result')}, ${formatUsd(costMicroUsd)}`,
    ...entries.map((entry) => `${formatTime(entry.atMs)}  ${entry.stepId.padEnd(width)}  ${describe(entry)}`),
  ]
}

function describe(entry: TimelineEntry): string {
  if (entry.type === 'decision') return describeDecision(entry.record)
  if (entry.type === 'attempt') return describeAttempt(entry.record.attempt)
  if (entry.type === 'duplicate') return `duplicate: published again, the first is ${entry.record.first}`
  const { status, code, attempts, costMicroUsd } = entry.record
  return `${status}${code === null ? '' : ` (${code})`} after ${plural(attempts, 'attempt')}, ${formatUsd(costMicroUsd)}`
}

function describeDecision({ attempt, outcome, facts }: DecisionRecord): string {
  const { action, tier, model, code, reasons, rule, thresholdPpm, thresholdOn } = outcome
  const where = action === 'route' ? `${tier} ${model}` : `${action} ${code ?? ''}`.trimEnd()
  const why = [...reasons, ...(rule === null ? [] : [`rule "${rule}"`])].join(', ')
  const odds =
    thresholdOn === 'gain' && facts.gainPpm !== null
      ? `gain ${formatPpm(facts.gainPpm)}, asked ${formatPpm(thresholdPpm)}`
      : `P(OSS right) ${formatPpm(facts.pSuccessPpm)}, threshold ${formatPpm(thresholdPpm)}`
  return `decision ${attempt}: ${where} (${odds})${why === '' ? '' : `: ${why}`}`
}

function describeAttempt(attempt: Attempt): string {
  const { tier, model, verdict, detail, standIn, promptTokens, completionTokens, costMicroUsd } = attempt
  const took = formatDuration(Math.max(0, attempt.endedAtMs - attempt.startedAtMs))
  return (
    `attempt ${attempt.attempt}: ${tier} ${model}${standIn ? ' (stand-in)' : ''}: ${verdict}` +
    `${detail === null ? '' : ` (${detail})`}, ${promptTokens}+${completionTokens} tokens, ${took}, ${formatUsd(costMicroUsd)}`
  )
}
