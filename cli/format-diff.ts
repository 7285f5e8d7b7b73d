import type { DiffReport } from '#lib/replay/diff/diff-policies'
import {
  constraintColumns,
  countColumns,
  expectedColumns,
  groupColumns,
  groupRows,
  knownColumns,
  leavingColumns,
  moveColumns,
  pathColumns,
  stepColumns,
  type ReportColumn,
} from '#lib/replay/report/columns'
import { change, count, counted, usd } from '#lib/replay/report/figures-text'
import { noticesOf } from '#lib/replay/report/notices'
import { formatTable, printable } from './output.ts'

/** What `shunt replay diff` prints: what a reader must know first, then the figures, then steps to look at. */
export function formatDiff(report: DiffReport, sourceName: string): string[] {
  const { decisions, moved, cost, budgetExhausted, residency, moves, causes, groups, sample } = report
  const movedMoves = moves.filter((move) => move.moved > 0)
  const effective = report.constraints.filter(({ before, after }) => before > 0 || after > 0)
  return [
    `${counted(decisions, 'decision')} of ${sourceName} made again by policy ${report.policyHash.slice(0, 12)}, engine ${report.engineVersion}`,
    `  moved: ${count(moved.tier)} to another tier or to none, ${count(moved.model)} to another model of their tier`,
    `  cost ${usd(cost.beforeMicroUsd)} before, ${usd(cost.afterMicroUsd)} after: ${change(cost.beforeMicroUsd, cost.afterMicroUsd)}`,
    `  decisions with a budget exhausted: ${count(budgetExhausted.before)} before, ${count(budgetExhausted.after)} after`,
    ...noticesOf(report).map((notice) => `! ${notice}`),
    ...(residency.leaving > 0
      ? [
          `! ${counted(residency.leaving, 'decision')} by which a step may go to a region where it could not go before`,
          ...section('regions', pathColumns, residency.paths),
          ...section('steps that leave a region', leavingColumns, residency.sample),
        ]
      : ['  no step leaves the regions that it could go to before']),
    ...section('moves', moveColumns, moves),
    ...section('accuracy at stake, known', knownColumns, movedMoves),
    ...section('accuracy at stake, expected by the scorer', expectedColumns, movedMoves),
    ...section('why', countColumns('what made steps move'), causes),
    ...section('reasons', countColumns('gained'), report.reasons.gained),
    ...section(null, countColumns('lost'), report.reasons.lost),
    ...section('constraints', constraintColumns, effective),
    ...section('by kind', groupColumns('kind'), groupRows(groups.kind)),
    ...section('by tenant', groupColumns('tenant'), groupRows(groups.tenant)),
    ...section('by the model that was asked for', groupColumns('model'), groupRows(groups.requestedModel)),
    ...section('changed steps', stepColumns, sample),
  ].map(printable)
}

/** Nothing of no rows. */
function section<Row>(title: string | null, columns: readonly ReportColumn<Row>[], rows: readonly Row[]): string[] {
  if (rows.length === 0) return []
  const aligned = columns.map(({ title: name, number, value }) => ({
    title: name,
    align: number ? ('right' as const) : ('left' as const),
    // What moves the cursor would tear the columns, too.
    value: (row: Row) => printable(value(row)),
  }))
  return ['', ...(title === null ? [] : [title]), ...formatTable(aligned, rows)]
}
