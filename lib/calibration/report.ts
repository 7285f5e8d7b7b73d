import { escapeHtml, htmlTable } from '#lib/report/html'
import { reportStyle } from '#lib/report/style'
import { bootstrapDefaults } from './bootstrap.ts'
import type { CalibrationFigures } from './calibration-error.ts'
import { withinGroups, type Evaluation, type GroupFigures, type RankingFigures } from './evaluation.ts'
import { formatApgr, formatShare, withInterval } from './figures-text.ts'
import type { MarkedThreshold } from './marked-threshold.ts'
import { calibrationPlot, qualityPlot } from './report-plots.ts'
import type { StratumThreshold } from './thresholds.ts'

export interface Report {
  /** null for weights that have none. */
  scorerHash: string | null
  /** Which labels, and how the steps were scored. */
  source: string
  evaluation: Evaluation
  threshold: MarkedThreshold | null
}

/** A page that stands alone: no script, nothing fetched, the same bytes for the same figures. */
export function reportPage(report: Report): string {
  const { scorerHash, source, evaluation, threshold } = report
  const { steps, ranked, reason, rankings, calibration, groups } = evaluation
  const scorer = scorerHash ?? 'hand-weighted'
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Scorer ${escapeHtml(scorer.slice(0, 12))}</title><style>${reportStyle}</style></head><body>`,
    '<h1>What the scorer is worth</h1>',
    `<p class="quiet">Scorer <code>${escapeHtml(scorer)}</code><br>${escapeHtml(source)}: ${steps} labels, ${ranked} with both outcomes.</p>`,
    '<h2>Cost and quality</h2>',
    reason === null
      ? costAndQuality(rankings, threshold)
      : `<p>There are no figures of rankings: ${escapeHtml(reason)}.</p>`,
    ...(threshold ? ['<h2>Threshold</h2>', thresholdSection(threshold)] : []),
    ...(calibration ? ['<h2>Calibration</h2>', calibrationSection(calibration)] : []),
    ...(groups.length > 1 ? ['<h2>Groups</h2>', groupSection(groups)] : []),
    '</body></html>',
    '',
  ]
    .join('\n')
    .replaceAll(' %', '\u00a0%')
}

function costAndQuality(rankings: readonly RankingFigures[], threshold: MarkedThreshold | null): string {
  // The order within groups is no ranking that a router would follow.
  const drawn = rankings.filter(({ name }) => name !== withinGroups)
  return [
    qualityPlot(drawn, threshold),
    `<p class="quiet">APGR is the mean part of the gap between the models that is closed, over all shares of steps that escalate; CPT50 and CPT80 are the shares that close 50 % and 80 % of it. In brackets: ${100 * bootstrapDefaults.confidence} % bootstrap intervals over the labels. Within groups each step counts by its place in its own group, where a prior by group is as good as random.</p>`,
    htmlTable<RankingFigures>(
      [
        { title: 'ranking', value: ({ name }) => name },
        {
          title: 'APGR',
          number: true,
          value: ({ figures, intervals }) => withInterval(figures.apgr, intervals.apgr, formatApgr),
        },
        {
          title: 'CPT50',
          number: true,
          value: ({ figures, intervals }) => withInterval(figures.cpt50, intervals.cpt50, formatShare),
        },
        {
          title: 'CPT80',
          number: true,
          value: ({ figures, intervals }) => withInterval(figures.cpt80, intervals.cpt80, formatShare),
        },
        {
          title: 'scorer ahead by',
          number: true,
          value: ({ scorerAhead }) =>
            scorerAhead ? `${formatApgr(scorerAhead.low)} to ${formatApgr(scorerAhead.high)}` : '',
        },
      ],
      rankings,
    ),
  ].join('\n')
}

function thresholdSection({ set, frontierShare, accuracy }: MarkedThreshold): string {
  return [
    `<p>A step escalates when its gain is at or above the threshold. Of the steps of this page ${formatShare(frontierShare)} do, and ${formatShare(accuracy)} of all answers are right.</p>`,
    htmlTable<StratumThreshold>(
      [
        { title: set.by ?? 'steps', value: ({ name }) => name ?? (set.by === null ? 'all' : 'all others') },
        { title: 'gainPpm', number: true, value: ({ gainPpm }) => String(gainPpm) },
        { title: 'escalate', number: true, value: ({ frontierShare: share }) => formatShare(share) },
        { title: 'labels', number: true, value: ({ steps }) => String(steps) },
        { title: 'where it comes from', value: ({ origin }) => origin },
      ],
      [set.base, ...set.strata],
    ),
  ].join('\n')
}

function calibrationSection({ ece, brier, brierSkill, baseRate, count, bins }: CalibrationFigures): string {
  return [
    `<p>What was said of P(OSS right), held against what was seen, on ${count} labels: calibration error ${ece.toFixed(3)}, Brier score ${brier.toFixed(3)}, skill over the base rate of ${formatShare(baseRate)}: ${brierSkill === null ? 'none' : brierSkill.toFixed(3)}.</p>`,
    calibrationPlot(bins),
    htmlTable<CalibrationFigures['bins'][number]>(
      [
        { title: 'P(OSS right) said', number: true, value: ({ predicted }) => formatShare(predicted) },
        { title: 'seen', number: true, value: ({ observed }) => formatShare(observed) },
        { title: 'labels', number: true, value: ({ count: size }) => String(size) },
      ],
      bins,
    ),
  ].join('\n')
}

function groupSection(groups: readonly GroupFigures[]): string {
  return htmlTable<GroupFigures>(
    [
      { title: 'group', value: ({ group }) => group ?? '(none)' },
      { title: 'steps', number: true, value: ({ steps }) => String(steps) },
      { title: 'OSS right', number: true, value: ({ ossAccuracy }) => formatShare(ossAccuracy) },
      { title: 'said', number: true, value: ({ meanPSuccess }) => formatShare(meanPSuccess) },
      { title: 'frontier right', number: true, value: ({ frontierAccuracy }) => formatShare(frontierAccuracy) },
      {
        title: 'gain',
        number: true,
        value: ({ ossAccuracy, frontierAccuracy }) => formatShare(frontierAccuracy - ossAccuracy),
      },
      { title: 'said', number: true, value: ({ meanGain }) => formatShare(meanGain) },
    ],
    groups,
  )
}
