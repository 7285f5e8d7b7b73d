/**
 * Failures and successes of late of a task, a tool, a kind of step or a model, each worth half as much after each
 * half-life: what failed in the past should make a step escalate, and success should let it fade. Exponential decay, as
 * the counters of "Forward Decay: A Practical Time Decay Model for Streaming Systems" (Cormode et al., ICDE 2009).
 */

/** A constant, and not the policy's: a ledger that is rebuilt must come to the same. */
export const failureHalfLifeMs = 3_600_000
/** After this a subject is forgotten: at most 1/4096 of anything is left. */
export const failureKeepMs = 12 * failureHalfLifeMs

/** Failures alone count as so many steps more: one failure is no certainty. */
const priorSteps = 1
const million = 1_000_000
const leastPpm = 1_000

/** `task`, `tool:<name>`, `kind:<kind>`, `model:<id>`: as in a snapshot's failuresPpm. In the key a task has its id. */
export type FailureSubject = string

/** The share of failures at `nowMs`, ppm; 0 where there is next to nothing left. `kept` is as addFailures.lua writes it. */
export function failureRatePpm(kept: string | null, nowMs: number): number {
  if (kept === null) return 0
  const [failures = 0, successes = 0, sinceMs = 0] = kept.split(' ').map(Number)
  const fade = 2 ** (Math.min(0, sinceMs - nowMs) / failureHalfLifeMs)
  const ppm = Math.floor((million * failures * fade) / ((failures + successes) * fade + priorSteps))
  return ppm < leastPpm ? 0 : ppm
}

export interface FailureSubjects {
  taskId: string
  kind: string
  models: readonly string[]
  tools: readonly string[]
}

/** A name that is longer would be somebody's text. */
const maxNameLength = 128
/** Of one step: more tools than this are not told apart by their failures. */
const maxTools = 64

/** Subject by subject, as it is named in a snapshot and in a key. */
export function subjectsOf({ taskId, kind, models, tools }: FailureSubjects): { name: FailureSubject; key: string }[] {
  const named = (prefix: string, names: readonly string[]) =>
    names.filter((name) => name.length <= maxNameLength).map((name) => `${prefix}:${name}`)
  return [
    { name: 'task', key: `task:${taskId}` },
    ...[...named('kind', [kind]), ...named('model', models), ...named('tool', tools.slice(0, maxTools))].map(
      (name) => ({ name, key: name }),
    ),
  ]
}
