import { InvalidArgumentError, type Command } from 'commander'
import type { SourceRange } from '#lib/audit/source'
import { decisionFilter } from '#lib/replay/decision-filter'
import type { DecisionRecord, Tier } from '#lib/events/types.generated'
import { ShuntError } from '#lib/errors'
import { duration, oneOf } from './options.ts'

/** What `addRangeOptions` gives a command. */
export interface RangeFlags {
  since?: TimeOption
  until?: TimeOption
  offsets?: OffsetsOption[]
  task?: string[]
  tenant?: string[]
  tier?: (Tier | 'none')[]
  reason?: string[]
}

/** Epoch ms, for a command that runs at `nowMs`. */
export type TimeOption = (nowMs: number) => number

export interface OffsetsOption {
  partition: number
  from: number | undefined
  until: number | undefined
}

/** `90s`, `15m`, `24h`, `7d` ago, or a time of ISO 8601, which is UTC where it names no zone. */
export function timeOption(text: string): TimeOption {
  if (/^\d{1,9}[smhd]?$/.test(text)) {
    const agoMs = duration(text)
    return (nowMs) => nowMs - agoMs
  }
  const match = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(text)
  const atMs = match ? Date.parse(match[1] !== undefined && match[4] === undefined ? `${text}Z` : text) : NaN
  if (Number.isNaN(atMs) || !isDay(text.slice(0, 10)))
    throw new InvalidArgumentError('how long ago, such as 24h or 7d, or a time, such as 2026-11-25T13:00:00Z')
  return () => atMs
}

/** Date.parse takes 30 February for 2 March. */
function isDay(date: string): boolean {
  return new Date(`${date}T00:00Z`).toISOString().startsWith(date)
}

/** `3:100-200` is partition 3 from offset 100 up to and without 200; `3:100-`, `3:-200` and `3` leave ends open. */
function offsetsOption(text: string): OffsetsOption {
  const match = /^(\d{1,9})(?::(\d{0,15})-(\d{0,15}))?$/.exec(text)
  if (!match) throw new InvalidArgumentError('PARTITION:FROM-UNTIL, such as 3:100-200, 3:100- or 3')
  const end = (digits: string | undefined): number | undefined => (digits ? Number(digits) : undefined)
  const [from, until] = [end(match[2]), end(match[3])]
  if (from !== undefined && until !== undefined && from > until)
    throw new InvalidArgumentError('the first offset is beyond the last')
  return { partition: Number(match[1]), from, until }
}

const repeated =
  <T>(read: (text: string) => T) =>
  (text: string, before: T[] | undefined): T[] => [...(before ?? []), read(text)]
const asIs = (text: string): string => text

/** A second range of a partition is refused: one of both would be read, and nobody told of the other. */
function offsetsOptions(text: string, before: OffsetsOption[] = []): OffsetsOption[] {
  const next = offsetsOption(text)
  if (before.some(({ partition }) => partition === next.partition))
    throw new InvalidArgumentError(`partition ${next.partition} is named twice: name it once, or run the command twice`)
  return [...before, next]
}

/** Options that say which part of the log a command reads, and which decisions of it. */
export function addRangeOptions(command: Command): Command {
  return command
    .option('--since <time>', 'records of this time and later: a duration ago, or ISO 8601', timeOption)
    .option('--until <time>', 'records before this time', timeOption)
    .option('--offsets <p:from-until>', 'of this partition of agent.audit alone; once for each', offsetsOptions)
    .option('--task <id>', 'decisions of this task; repeatable', repeated(asIs))
    .option('--tenant <id>', 'decisions for this tenant; repeatable', repeated(asIs))
    .option('--tier <tier>', 'oss, frontier, or none for steps that went to no model; repeatable', tierOption)
    .option('--reason <reason>', 'decisions that give this reason, such as low_confidence; repeatable', repeated(asIs))
}

const tierOption = repeated(oneOf('oss', 'frontier', 'none'))

/** Throws SHUNT_CONFIG_INVALID where nothing can lie in between: nothing wrong would be found there either. */
export function timesOf(
  { since, until }: { since?: TimeOption | undefined; until?: TimeOption | undefined },
  nowMs: number,
): Pick<SourceRange, 'sinceMs' | 'untilMs'> {
  const times = { sinceMs: since?.(nowMs), untilMs: until?.(nowMs) }
  if (times.sinceMs !== undefined && times.untilMs !== undefined && times.sinceMs >= times.untilMs)
    throw new ShuntError('SHUNT_CONFIG_INVALID', 'nothing lies in the range: give a --since before --until')
  return times
}

export function rangeOf({ since, until, offsets }: RangeFlags, nowMs: number): SourceRange {
  return {
    ...timesOf({ since, until }, nowMs),
    offsets: offsets && new Map(offsets.map(({ partition, ...ends }) => [partition, ends])),
  }
}

/** Undefined where all decisions are asked for. */
export function filterOf({
  task,
  tenant,
  tier,
  reason,
}: RangeFlags): ((record: DecisionRecord) => boolean) | undefined {
  return decisionFilter({ taskIds: task, tenantIds: tenant, tiers: tier, reasons: reason })
}
