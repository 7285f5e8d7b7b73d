import { InvalidArgumentError, type Command } from 'commander'
import type { Tier } from '#lib/events/types.generated'
import type { RangeOptions, ReplayFilter } from '#lib/replay/publish/range'
import { reasons } from '#lib/routing/reasons'
import { duration, oneOf } from './options.ts'

export interface RangeFlags {
  since?: number
  until?: number
  offsets?: NonNullable<RangeOptions['offsets']>
  task: string[]
  tenant: string[]
  tier: Tier[]
  reason: string[]
}

/** Options that choose recorded steps; each narrows the range, and one that is repeated widens itself. */
export function addRangeOptions(command: Command): Command {
  return command
    .option('--since <time>', 'steps published at or after: an age such as 24h, or an ISO time', time)
    .option('--until <time>', 'steps published before that', time)
    .option('--offsets <p:from-until>', 'of one partition of agent.steps; either end may be left out', offsets)
    .option('--task <id>', 'steps of a task', list, [])
    .option('--tenant <id>', 'steps of a tenant', list, [])
    .option('--tier <tier>', 'steps that were decided for oss or frontier', listOf(oneOf('oss', 'frontier')), [])
    .option('--reason <reason>', 'steps of which a decision bears the reason', listOf(reason), [])
}

export function filterOf({ task, tenant, tier, reason }: RangeFlags): ReplayFilter {
  return { tasks: task, tenants: tenant, tiers: tier, reasons: reason }
}

/** Epoch ms. */
function time(text: string): number {
  const parsed = /^\d{4}-/.test(text) ? Date.parse(text) : Date.now() - duration(text)
  if (Number.isNaN(parsed)) throw new InvalidArgumentError('an age such as 24h, or a time such as 2026-05-12T10:00:00Z')
  return parsed
}

function offsets(text: string, before?: RangeFlags['offsets']): NonNullable<RangeFlags['offsets']> {
  const match = /^(\d{1,6}):(\d{0,15})-(\d{0,15})$/.exec(text)
  if (!match) throw new InvalidArgumentError('PARTITION:FROM-UNTIL, such as 3:1000-2000, 3:1000- or 3:-')
  const [, partition, from, until] = match
  const ends = { ...(from && { from: Number(from) }), ...(until && { until: Number(until) }) }
  return new Map([...(before ?? []), [Number(partition), ends]])
}

const list = (text: string, before: string[]): string[] => [...before, text]
const listOf =
  <T extends string>(read: (text: string) => T) =>
  (text: string, before: T[]): T[] => [...before, read(text)]

function reason(text: string): string {
  if (!Object.hasOwn(reasons, text)) throw new InvalidArgumentError('one of the reasons in docs/codes.md')
  return text
}
