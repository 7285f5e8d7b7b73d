import { bootstrapDefaults } from './bootstrap.ts'
import type { CalibrationFigures } from './calibration-error.ts'
import { withinGroups, type Evaluation, type GroupFigures, type RankingFigures } from './evaluation.ts'
import { formatApgr, formatShare, withInterval } from './figures-text.ts'
import { drawPlot, type PlotLine } from './report-plot.ts'
import { reportStyle } from './report-style.ts'
import { escapeHtml, htmlTable } from './report-text.ts'
import { withBothOutcomes, type ScoredStep } from './scored-step.ts'
import { escalates, type StratumThreshold, type ThresholdSet } from './thresholds.ts'

export interface Report {
  /** null for weights that have none. */
  scorerHash: string | null
  /** Which labels, and how the steps were scored. */
  source: string
  evaluation: Evaluation
  threshold: MarkedThreshold | null
}

/** A threshold, and what it does to the steps that are reported on. */
export interface MarkedThreshold {
  set: ThresholdSet
  frontierShare: number
  accuracy: number
}

/** null where no step has both outcomes. */
export function markThreshold(set: ThresholdSet, steps: readonly ScoredStep[]): MarkedThreshold | null {
  const both = withBothOutcomes(steps)
  if (both.length === 0) return null
  let sent = 0
  let right = 0
  for (const step of both) {
    const escalated = escalates(set, step)
    sent += Number(escalated)
    right += Number(escalated ? step.frontier : step.oss)
  }
  return { set, frontierShare: sent / both.length, accuracy: right / both.length }
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

/** The scorer, random and the oracle have a colour of their own, the first two others one each. */
function classOf(name: string, peers: readonly string[]): string {
  return ['scorer', 'random', 'oracle'].includes(name) ? name : `peer-${peers.indexOf(name) % 2}`
}

function costAndQuality(rankings: readonly RankingFigures[], threshold: MarkedThreshold | null): string {
  // The order within groups is no ranking that a router would follow.
  const drawn = rankings.filter(({ name }) => name !== withinGroups)
  const peers = drawn.map(({ name }) => name).filter((name) => !['scorer', 'random', 'oracle'].includes(name))
  const accuracies = drawn.flatMap(({ curve }) => curve.map(({ accuracy }) => accuracy))
  const [least, most] = [Math.min(...accuracies), Math.max(...accuracies)]
  const room = 0.06 * (most - least)
  const oss = drawn[0]!.curve[0]!
  const frontier = drawn[0]!.curve.at(-1)!
  const lines = drawn.map(({ name, curve }): PlotLine => ({
    className: classOf(name, peers),
    points: curve.map(({ share, accuracy }) => [share, accuracy]),
  }))
  const y = { title: 'right answers', from: least - room, to: Math.min(1, most + room), format: roundShare }
  if (threshold)
    lines.push({
      className: 'threshold',
      points: [y.from, y.to].map((accuracy) => [threshold.frontierShare, accuracy] as const),
    })
  const plot = drawPlot({
    label: 'Share of right answers by share of steps that escalate, for each ranking',
    x: { title: 'steps that escalate to the frontier model', from: 0, to: 1, format: roundShare },
    y,
    // The scorer's own line last, on top of the others.
    lines: [...lines.slice(1), lines[0]!],
    dots: [
      { className: 'end', at: [0, oss.accuracy], text: `all OSS ${formatShare(oss.accuracy)}` },
      { className: 'end', at: [1, frontier.accuracy], text: `all frontier ${formatShare(frontier.accuracy)}` },
      ...(threshold
        ? [
            {
              className: 'threshold',
              at: [threshold.frontierShare, threshold.accuracy] as const,
              text: `${formatShare(threshold.frontierShare)} escalate, ${formatShare(threshold.accuracy)} right`,
            },
          ]
        : []),
    ],
  })
  const entry = (className: string, name: string): string =>
    `<li class="${className}"><span></span><b>${escapeHtml(name)}</b></li>`
  const legend = drawn.map(({ name }) => entry(classOf(name, peers), name))
  if (threshold) legend.push(entry('threshold', 'threshold'))
  return [
    plot,
    `<ul class="legend">${legend.join('')}</ul>`,
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
  const axis = { from: 0, to: 1, format: roundShare }
  return [
    `<p>What was said of P(OSS right), held against what was seen, on ${count} labels: calibration error ${ece.toFixed(3)}, Brier score ${brier.toFixed(3)}, skill over the base rate of ${formatShare(baseRate)}: ${brierSkill === null ? 'none' : brierSkill.toFixed(3)}.</p>`,
    drawPlot({
      label: 'Share of right answers by the P(OSS right) that was said, in bins of equal numbers',
      x: { title: 'P(OSS right) said', ...axis },
      y: { title: 'right answers seen', ...axis },
      lines: [
        {
          className: 'random',
          points: [
            [0, 0],
            [1, 1],
          ],
        },
        { className: 'scorer', points: bins.map(({ predicted, observed }) => [predicted, observed]) },
      ],
      dots: bins.map(({ count: size, predicted, observed }) => ({
        className: 'scorer',
        at: [predicted, observed],
        hint: `${size} steps: said ${formatShare(predicted)}, seen ${formatShare(observed)}`,
      })),
    }),
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

function roundShare(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`
}
