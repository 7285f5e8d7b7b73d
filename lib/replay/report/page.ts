import { escapeHtml, htmlTable } from '#lib/report/html'
import { reportStyle } from '#lib/report/style'
import type { DiffReport } from '../diff/diff-policies.ts'
import type { GroupFigures } from '../diff/tally.ts'
import {
  constraintColumns,
  countColumns,
  expectedColumns,
  groupColumns,
  groupRows,
  knownColumns,
  leavingColumns,
  modelColumns,
  moveColumns,
  pathColumns,
  stepColumns,
} from './columns.ts'
import { change, count, counted, share, signedUsd, usd } from './figures-text.ts'
import { noticesOf } from './notices.ts'
import { costPlot, knownPlot, movesPlot, scorePlot } from './plots.ts'

export interface PageSubject {
  /** Of the policy that was tried. */
  policyFile: string
  /** Where the log was read from. */
  source: string
}

/** Nothing is fetched and nothing runs, whatever the log's texts hold. */
const contentPolicy = "default-src 'none'; style-src 'unsafe-inline'"

/** Of foreign texts: they would turn what stands after them (Unicode's bidirectional overrides and isolates). */
const turningMarks = /[\u202a-\u202e\u2066-\u2069]/g

/** A page that stands alone, the same bytes for the same figures. All texts of the log are foreign, and escaped. */
export function reportPage(report: DiffReport, { policyFile, source }: PageSubject): string {
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="${contentPolicy}">`,
    `<title>What ${escapeHtml(policyFile)} would have decided</title><style>${reportStyle}</style></head><body>`,
    '<h1>What another policy would have decided</h1>',
    `<p class="quiet">Policy <code>${escapeHtml(policyFile)}</code>, <code>${escapeHtml(report.policyHash)}</code><br>`,
    `${escapeHtml(source)}${rangeText(report)}; scorer ${escapeHtml(scorerText(report))}; engine ${report.engineVersion}</p>`,
    tiles(report),
    ...noticesOf(report).map((notice) => `<p class="notice">${escapeHtml(notice)}</p>`),
    residencySection(report),
    movesSection(report),
    costSection(report),
    accuracySection(report),
    whySection(report),
    ...report.scoreBins.flatMap((bins) => ['<h3>Scores and thresholds</h3>', scorePlot(bins)]),
    groupsSection(report),
    sampleSection(report),
    '</body></html>\n',
  ]
    .filter((part) => part !== '')
    .join('\n')
    .replaceAll(' %', '\u00a0%')
    .replaceAll(turningMarks, '\ufffd')
}

function rangeText({ firstAtMs, lastAtMs }: DiffReport): string {
  if (firstAtMs === null || lastAtMs === null) return ''
  return `, decisions from ${new Date(firstAtMs).toISOString()} to ${new Date(lastAtMs).toISOString()}`
}

function scorerText({ scorer: { use, hash } }: DiffReport): string {
  return hash === null ? use : `${use} ${hash.slice(0, 12)}`
}

function tiles({ decisions, moved, cost, budgetExhausted, residency }: DiffReport): string {
  const tile = (value: string, what: string): string =>
    `<div class="tile"><b>${escapeHtml(value)}</b><span>${escapeHtml(what)}</span></div>`
  const { beforeMicroUsd, afterMicroUsd } = cost
  return [
    '<div class="tiles">',
    tile(count(decisions), decisions === 1 ? 'decision made again' : 'decisions made again'),
    tile(count(moved.tier), `go to another tier, or to none (${share(moved.tier, decisions) || '0 %'})`),
    tile(count(moved.model), 'go to another model of their tier'),
    tile(`${usd(beforeMicroUsd)} →\u00a0${usd(afterMicroUsd)}`, `cost: ${change(beforeMicroUsd, afterMicroUsd)}`),
    tile(
      `${count(budgetExhausted.before)} →\u00a0${count(budgetExhausted.after)}`,
      'decisions in which a budget was exhausted',
    ),
    tile(count(residency.leaving), 'may go to a region where they could not go before'),
    '</div>',
  ].join('\n')
}

function residencySection({ residency, constraints }: DiffReport): string {
  const effective = constraints.filter(({ before, after }) => before > 0 || after > 0)
  if (residency.leaving === 0 && effective.length === 0) return ''
  return [
    '<h2>Residency and constraints</h2>',
    ...(residency.leaving > 0
      ? [
          `<p class="notice">${counted(residency.leaving, 'decision')} by which a step may go to a region where it could not go before.</p>`,
          htmlTable(pathColumns, residency.paths),
          ...(residency.sample.length > 0
            ? [
                `<h3>${residency.sample.length === residency.leaving ? 'All of them' : `${count(residency.sample.length)} of them`}</h3>`,
                htmlTable(leavingColumns, residency.sample),
              ]
            : []),
        ]
      : ['<p>No step leaves the regions that it could go to before.</p>']),
    ...(effective.length > 0 ? [htmlTable(constraintColumns, effective)] : []),
  ].join('\n')
}

function movesSection({ moves, modelMoves }: DiffReport): string {
  if (moves.length === 0) return '<h2>Moves</h2>\n<p>No decision of the range is told of.</p>'
  return [
    '<h2>Moves</h2>',
    '<p class="quiet">Decisions by where they send their step: before on the left, after on the right.</p>',
    movesPlot(moves),
    htmlTable(moveColumns, moves),
    ...(modelMoves.length > 0 ? ['<h3>Models</h3>', htmlTable(modelColumns, modelMoves)] : []),
  ].join('\n')
}

function costSection({ cost, leftOut, groups }: DiffReport): string {
  const { beforeMicroUsd, afterMicroUsd } = cost
  return [
    '<h2>Cost</h2>',
    `<p>${usd(beforeMicroUsd)} before and ${usd(afterMicroUsd)} after, ${signedUsd(afterMicroUsd - beforeMicroUsd)}${leftOut.decisions > 0 ? `; ${usd(leftOut.costMicroUsd)} of what was spent is that of later attempts which are left out` : ''}. Calls that really happened count as they were paid. What a moved step would cost is an estimate: its recorded tokens at the new model's prices; and what its new answer would have led to, another attempt perhaps, is not guessed.</p>`,
    ...plotsByGroup(groups.kind, 'kind'),
    ...plotsByGroup(groups.tenant, 'tenant'),
  ].join('\n')
}

function plotsByGroup({ groups }: GroupFigures, what: string): string[] {
  return groups.length > 0 ? [`<h3>By ${what}</h3>`, costPlot(groups, what)] : []
}

function accuracySection({ moves }: DiffReport): string {
  const moved = moves.filter((move) => move.moved > 0)
  if (moved.length === 0) return ''
  return [
    '<h2>Accuracy at stake</h2>',
    '<h3>Known</h3>',
    '<p>Of the answers that moved steps were given. A right one is at stake; a wrong one may be mended. What the other model would have answered nobody knows.</p>',
    knownPlot(moved),
    htmlTable(knownColumns, moved),
    '<h3>Expected</h3>',
    '<p>By the scorer: its chance that the open model is right, and the gain of a frontier model where it knows one. First attempts alone: a score says nothing of a step that has failed already.</p>',
    htmlTable(expectedColumns, moved),
  ].join('\n')
}

function whySection({ causes, reasons }: DiffReport): string {
  const all = [...causes, ...reasons.gained, ...reasons.lost]
  if (all.length === 0) return ''
  return [
    '<h2>Why</h2>',
    ...(causes.length > 0 ? [htmlTable(countColumns('what made steps move'), causes)] : []),
    '<div class="pair">',
    `<div>${htmlTable(countColumns('reason gained'), reasons.gained)}</div>`,
    `<div>${htmlTable(countColumns('reason lost'), reasons.lost)}</div>`,
    '</div>',
  ].join('\n')
}

function groupsSection({ groups: { tenant, kind, requestedModel } }: DiffReport): string {
  const section = (title: string, figures: GroupFigures): string[] =>
    figures.groups.length > 0 ? [htmlTable(groupColumns(title), groupRows(figures))] : []
  return [
    '<h2>Groups</h2>',
    ...section('kind', kind),
    ...section('tenant', tenant),
    ...section('model that was asked for', requestedModel),
  ].join('\n')
}

function sampleSection({ sample, moved }: DiffReport): string {
  if (sample.length === 0) return ''
  return [
    '<h2>Changed steps</h2>',
    `<p>${sample.length === moved.tier + moved.model ? 'All of them' : `${count(sample.length)} of ${count(moved.tier + moved.model)}, drawn evenly`}. The last column is the decision's partition and offset in agent.audit.</p>`,
    htmlTable(stepColumns, sample),
  ].join('\n')
}
