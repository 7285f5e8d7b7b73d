import type { BeforeAfter, ModelMove, NamedCount } from '../diff/counts.ts'
import type { ChangedStep } from '../diff/changed-step.ts'
import type { GroupFigures } from '../diff/tally.ts'
import type { GroupTally } from '../diff/group-tallies.ts'
import type { MoveTally } from '../diff/move-tally.ts'
import {
  change,
  costText,
  count,
  decimal,
  differenceText,
  percentPpm,
  share,
  sideText,
  signedAnswers,
  usd,
} from './figures-text.ts'

/** Columns of the report's tables, which the page and the terminal share. */
export interface ReportColumn<Row> {
  title: string
  number?: true
  value: (row: Row) => string
}

const number = true as const

export const moveColumns: readonly ReportColumn<MoveTally>[] = [
  { title: 'before', value: ({ before }) => before },
  { title: 'after', value: ({ after }) => after },
  { title: 'decisions', number, value: ({ decisions }) => count(decisions) },
  { title: 'other model', number, value: ({ before, after, moved }) => (before === after ? count(moved) : '') },
  { title: 'cost before', number, value: ({ costBeforeMicroUsd }) => usd(costBeforeMicroUsd) },
  { title: 'cost after', number, value: ({ costAfterMicroUsd }) => usd(costAfterMicroUsd) },
]

export const knownColumns: readonly ReportColumn<MoveTally>[] = [
  { title: 'move', value: ({ before, after }) => `${before} → ${after}` },
  { title: 'moved', number, value: ({ moved }) => count(moved) },
  { title: 'right', number, value: ({ known }) => count(known.right) },
  { title: 'wrong', number, value: ({ known }) => count(known.wrong) },
  { title: 'failed verification', number, value: ({ known }) => count(known.failedVerification) },
  { title: 'nobody said', number, value: ({ known }) => count(known.unknown) },
  {
    title: 'mean confidence',
    number,
    value: ({ known }) => (known.confidencePpm === null ? '' : percentPpm(known.confidencePpm)),
  },
]

export const expectedColumns: readonly ReportColumn<MoveTally>[] = [
  { title: 'move', value: ({ before, after }) => `${before} → ${after}` },
  { title: 'first attempts with a gain', number, value: ({ expected }) => count(expected.decisions) },
  {
    title: 'right answers',
    number,
    value: ({ expected }) => (expected.decisions === 0 ? '' : signedAnswers(expected.change)),
  },
  { title: 'gain not known', number, value: ({ expected }) => count(expected.withoutGain) },
  {
    title: 'at most',
    number,
    value: ({ expected }) => (expected.withoutGain === 0 ? '' : `±${decimal(expected.withoutGainAtMost)}`),
  },
]

export const modelColumns: readonly ReportColumn<ModelMove>[] = [
  { title: 'model before', value: ({ before }) => before ?? '(none)' },
  { title: 'model after', value: ({ after }) => after ?? '(none)' },
  { title: 'decisions', number, value: ({ decisions }) => count(decisions) },
  { title: 'cost before', number, value: ({ costBeforeMicroUsd }) => usd(costBeforeMicroUsd) },
  { title: 'cost after', number, value: ({ costAfterMicroUsd }) => usd(costAfterMicroUsd) },
]

export function countColumns(title: string): readonly ReportColumn<NamedCount>[] {
  return [
    { title, value: ({ name }) => name },
    { title: 'decisions', number, value: ({ count: times }) => count(times) },
  ]
}

export const constraintColumns: readonly ReportColumn<BeforeAfter>[] = [
  { title: 'models removed for', value: ({ name }) => name },
  { title: 'decisions before', number, value: ({ before }) => count(before) },
  { title: 'after', number, value: ({ after }) => count(after) },
]

export const pathColumns: readonly ReportColumn<{ from: string; to: string; decisions: number }>[] = [
  { title: 'could go to', value: ({ from }) => (from === '' ? '(nowhere)' : from) },
  { title: 'now also to', value: ({ to }) => to },
  { title: 'decisions', number, value: ({ decisions }) => count(decisions) },
]

export function groupColumns(title: string): readonly ReportColumn<GroupTally>[] {
  return [
    { title, value: ({ name }) => (name === '' ? '(none)' : name) },
    { title: 'decisions', number, value: ({ decisions }) => count(decisions) },
    { title: 'to frontier', number, value: ({ toFrontier }) => count(toFrontier) },
    { title: 'to oss', number, value: ({ toOss }) => count(toOss) },
    {
      title: 'moved',
      number,
      value: ({ movedTier, movedModel, decisions }) => share(movedTier + movedModel, decisions),
    },
    { title: 'cost before', number, value: ({ costBeforeMicroUsd }) => usd(costBeforeMicroUsd) },
    { title: 'cost after', number, value: ({ costAfterMicroUsd }) => usd(costAfterMicroUsd) },
    {
      title: 'change',
      number,
      value: ({ costBeforeMicroUsd, costAfterMicroUsd }) => change(costBeforeMicroUsd, costAfterMicroUsd),
    },
  ]
}

/** The rest is a row of its own, by a name that no group has. */
export function groupRows({ groups, rest, restGroups }: GroupFigures): GroupTally[] {
  return rest ? [...groups, { ...rest, name: `all ${count(restGroups)} others` }] : groups
}

export const stepColumns: readonly ReportColumn<ChangedStep>[] = [
  { title: 'step', value: ({ tenantId, stepId }) => `${tenantId}/${stepId}` },
  { title: 'attempt', number, value: ({ attempt }) => String(attempt) },
  { title: 'kind', value: ({ kind }) => kind },
  { title: 'before', value: ({ before }) => sideText(before) },
  { title: 'after', value: ({ after }) => sideText(after) },
  {
    title: 'what made the difference',
    value: ({ differences }) => differences.slice(0, 3).map(differenceText).join('; '),
  },
  { title: 'cost', value: ({ before, after }) => `${costText(before.cost)} → ${costText(after.cost)}` },
  { title: 'decision', value: ({ place }) => `${place.partition}/${place.offset}` },
]

export const leavingColumns: readonly ReportColumn<ChangedStep>[] = [
  ...stepColumns.slice(0, 5),
  {
    title: 'regions',
    value: ({ regionsLeft }) =>
      regionsLeft ? `${regionsLeft.from.join(', ') || '(nowhere)'} → ${regionsLeft.to.join(', ')}` : '',
  },
  stepColumns[5]!,
  stepColumns.at(-1)!,
]
