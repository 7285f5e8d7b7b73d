import type { GroupTally } from '../diff/group-tallies.ts'
import type { MoveTally } from '../diff/move-tally.ts'
import type { Standing } from '../diff/redecision.ts'
import type { ScoreBins } from '../diff/score-bins.ts'
import { axisStyle, axisText, legend, renderPlot, type PlotOption } from '#lib/report/plot'

/** Colours are variables of the page (lib/report/style.ts). */
const colours: Record<Standing, string> = {
  oss: 'var(--oss)',
  frontier: 'var(--frontier)',
  refused: 'var(--refused)',
  failed: 'var(--failed)',
  expired: 'var(--failed)',
  unknown: 'var(--failed)',
}
const before = 'var(--before)'
const after = 'var(--after)'

/** Room for the longest name: the renderer knows no fonts. */
function gridFor(names: readonly string[]) {
  const longest = Math.max(0, ...names.map(({ length }) => length))
  return { left: 12 + 7.2 * longest, right: 24, top: 8, bottom: 28, outerBoundsMode: 'none' as const }
}

/** Where steps went on the left, where they would go on the right. */
export function movesPlot(moves: readonly MoveTally[]): string {
  const sum = (side: 'before' | 'after', standing: Standing): number =>
    moves.filter((move) => move[side] === standing).reduce((total, { decisions }) => total + decisions, 0)
  const nodes = (['before', 'after'] as const).flatMap((side) =>
    [...new Set(moves.map((move) => move[side]))].map((standing) => ({
      name: `${side} ${standing}`,
      itemStyle: { color: colours[standing] },
      label: {
        position: side === 'before' ? ('left' as const) : ('right' as const),
        formatter: `${standing}\n${sum(side, standing).toLocaleString('en-US')}`,
      },
    })),
  )
  const option: PlotOption = {
    series: {
      type: 'sankey',
      silent: true,
      draggable: false,
      left: 90,
      right: 90,
      top: 10,
      bottom: 10,
      nodeGap: 18,
      label: { color: 'var(--text)', fontSize: 13, lineHeight: 17, textBorderWidth: 0 },
      lineStyle: { color: 'source', opacity: 0.35, curveness: 0.5 },
      data: nodes,
      links: moves.map((move) => ({
        source: `before ${move.before}`,
        target: `after ${move.after}`,
        value: move.decisions,
        lineStyle: { opacity: move.before === move.after ? 0.18 : 0.55, color: colours[move.after] },
      })),
    },
  }
  return renderPlot(option, { label: 'Decisions by where they sent their step, before and after', height: 300 })
}

/** Money of each group, two bars a group. */
export function costPlot(groups: readonly GroupTally[], what: string): string {
  const shown = groups.slice(0, 12).toReversed()
  const bar = (name: string, color: string, cost: (group: GroupTally) => number) => ({
    type: 'bar' as const,
    name,
    silent: true,
    itemStyle: { color },
    data: shown.map((group) => cost(group) / 1e6),
  })
  const option: PlotOption = {
    grid: gridFor(shown.map(({ name }) => shortName(name))),
    xAxis: {
      type: 'value',
      ...axisStyle,
      axisLabel: { ...axisText, formatter: (usd: number) => `$${shortNumber(usd)}` },
    },
    yAxis: {
      type: 'category',
      data: shown.map(({ name }) => shortName(name)),
      ...axisStyle,
      axisTick: { show: false },
    },
    series: [
      bar('before', before, ({ costBeforeMicroUsd }) => costBeforeMicroUsd),
      bar('after', after, ({ costAfterMicroUsd }) => costAfterMicroUsd),
    ],
  }
  const entries = [
    { name: 'before', color: before },
    { name: 'after', color: after },
  ]
  return (
    legend(entries) + renderPlot(option, { label: `Cost before and after by ${what}`, height: 40 + 38 * shown.length })
  )
}

const scaleNames = { p_success: 'P(the open model is right)', gain: 'gain of a frontier model' } as const

/** How steps are spread over the scale, and where the thresholds lie. */
export function scorePlot({ scale, stayed, toFrontier, toOss, before: was, after: is }: ScoreBins): string {
  const { fromPpm, toPpm, counts } = stayed
  const width = (toPpm - fromPpm) / counts.length
  const middle = (at: number): number => fromPpm + (at + 0.5) * width
  const stack = (name: string, color: string, bins: { counts: number[] }) => ({
    type: 'bar' as const,
    name,
    stack: 'all',
    silent: true,
    barWidth: '92%',
    itemStyle: { color },
    data: bins.counts.map((count, at) => [middle(at), count]),
  })
  const line = (medianPpm: number, name: string, color: string) => ({
    xAxis: medianPpm,
    lineStyle: { color, width: 2, type: name === 'before' ? ('dashed' as const) : ('solid' as const) },
    label: {
      formatter: `${name} ${percent(medianPpm)}`,
      color,
      fontSize: 12,
      position: 'end' as const,
      // Both names stay readable where both lines meet.
      distance: name === 'before' ? 2 : 16,
    },
  })
  const option: PlotOption = {
    grid: { left: 68, right: 24, top: 40, bottom: 44, outerBoundsMode: 'none' },
    xAxis: {
      type: 'value',
      min: fromPpm,
      max: toPpm,
      name: scaleNames[scale],
      nameLocation: 'middle',
      nameGap: 26,
      ...axisStyle,
      axisLabel: { ...axisText, formatter: percent },
    },
    yAxis: {
      type: 'value',
      name: 'first attempts',
      minInterval: 1,
      nameLocation: 'middle',
      nameGap: 44,
      ...axisStyle,
      axisLabel: { ...axisText, formatter: shortNumber },
    },
    series: [
      {
        ...stack('stays', 'var(--stays)', stayed),
        markLine: {
          symbol: 'none',
          silent: true,
          data: [
            ...(was ? [line(was.medianPpm, 'before', 'var(--before-line)')] : []),
            ...(is ? [line(is.medianPpm, 'after', 'var(--after-line)')] : []),
          ],
        },
      },
      stack('moves to the frontier', 'var(--frontier)', toFrontier),
      stack('moves to an open model', 'var(--oss)', toOss),
    ],
  }
  const entries = [
    { name: 'stays', color: 'var(--stays)' },
    { name: 'moves to the frontier', color: 'var(--frontier)' },
    { name: 'moves to an open model', color: 'var(--oss)' },
  ]
  return (
    legend(entries) +
    renderPlot(option, { label: `First attempts by ${scaleNames[scale]}, with the median threshold`, height: 300 })
  )
}

const known = [
  { name: 'right, a caller says', color: 'var(--right)', count: (move: MoveTally) => move.known.right },
  { name: 'wrong, a caller says', color: 'var(--wrong)', count: (move: MoveTally) => move.known.wrong },
  { name: 'failed verification', color: 'var(--invalid)', count: (move: MoveTally) => move.known.failedVerification },
  { name: 'nobody said', color: 'var(--stays)', count: (move: MoveTally) => move.known.unknown },
]

/** What is known of the answers that moved steps were given. */
export function knownPlot(moves: readonly MoveTally[]): string {
  const shown = moves.filter(({ moved }) => moved > 0).toReversed()
  const option: PlotOption = {
    grid: { ...gridFor(shown.map(nameOf)), bottom: 44 },
    xAxis: {
      type: 'value',
      name: 'decisions that move',
      minInterval: 1,
      nameLocation: 'middle',
      nameGap: 26,
      ...axisStyle,
      axisLabel: { ...axisText, formatter: shortNumber },
    },
    yAxis: {
      type: 'category',
      data: shown.map(nameOf),
      ...axisStyle,
      axisTick: { show: false },
    },
    series: known.map(({ name, color, count }) => ({
      type: 'bar' as const,
      name,
      stack: 'all',
      silent: true,
      barMaxWidth: 26,
      itemStyle: { color },
      data: shown.map(count),
    })),
  }
  const label = 'What is known of the recorded answers of moved steps'
  return legend(known) + renderPlot(option, { label, height: 56 + 42 * shown.length })
}

function nameOf(move: MoveTally): string {
  return `${move.before} → ${move.after}`
}

function shortName(name: string): string {
  const shown = name === '' ? '(none)' : name
  return shown.length > 28 ? `${shown.slice(0, 27)}…` : shown
}

function percent(ppm: number): string {
  return `${Math.round(ppm / 1_000) / 10} %`
}

const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })

function shortNumber(value: number): string {
  return compact.format(value)
}
