import { axisStyle, axisText, legend, renderPlot, type PlotOption } from '#lib/report/plot'
import type { CalibrationFigures } from './calibration-error.ts'
import type { RankingFigures } from './evaluation.ts'
import { formatShare } from './figures-text.ts'
import type { MarkedThreshold } from './marked-threshold.ts'

/** Colours are variables of the page (lib/report/style.ts); the first two peers have one each. */
const threshold = 'var(--threshold)'
const own: Readonly<Record<string, string>> = {
  scorer: 'var(--scorer)',
  random: 'var(--random)',
  oracle: 'var(--oracle)',
}
const halo = { textBorderColor: 'var(--page)', textBorderWidth: 4 }

const grid = { left: 76, right: 32, top: 16, bottom: 52, outerBoundsMode: 'none' as const }
const shareAxis = (name: string, min: number, max: number, nameGap: number) => ({
  type: 'value' as const,
  name,
  nameLocation: 'middle' as const,
  nameGap,
  min,
  max,
  ...axisStyle,
  axisLabel: { ...axisText, formatter: roundShare, showMinLabel: isRound(min), showMaxLabel: isRound(max) },
})

type Point = [x: number, y: number]

interface PlotLine {
  color: string
  points: Point[]
  width?: number
  dashed?: true
}

const lineSeries = ({ color, points, width = 2, dashed }: PlotLine) => ({
  type: 'line' as const,
  silent: true,
  symbol: 'none',
  lineStyle: { color, width, type: dashed ? ('dashed' as const) : ('solid' as const) },
  data: points,
})

/** Right answers by how many steps escalate: a curve for each ranking, and where the threshold lies. */
export function qualityPlot(rankings: readonly RankingFigures[], marked: MarkedThreshold | null): string {
  const accuracies = rankings.flatMap(({ curve }) => curve.map(({ accuracy }) => accuracy))
  const [least, most] = [Math.min(...accuracies), Math.max(...accuracies)]
  const room = 0.06 * (most - least)
  const [from, to] = [least - room, Math.min(1, most + room)]
  const peers = rankings.map(({ name }) => name).filter((name) => own[name] === undefined)
  const colorOf = (name: string): string => own[name] ?? `var(--peer-${peers.indexOf(name) % 2})`
  const curves = rankings.map(({ name, curve }) =>
    lineSeries({
      color: colorOf(name),
      points: curve.map(({ share, accuracy }): Point => [share, accuracy]),
      ...(name === 'scorer' && { width: 3 }),
      ...(name === 'random' && { dashed: true }),
    }),
  )
  const ends = [rankings[0]!.curve[0]!, rankings[0]!.curve.at(-1)!]
  const dot = (at: Point, color: string, text: string) => ({
    value: at,
    itemStyle: { color, opacity: 1 },
    label: {
      show: true,
      formatter: text,
      color: 'var(--text)',
      fontSize: 13,
      ...halo,
      // Curves rise: below the dot there is room.
      position: at[0] > 0.5 ? ('left' as const) : ('right' as const),
      offset: [0, 16],
    },
  })
  const option: PlotOption = {
    grid,
    xAxis: shareAxis('steps that escalate to the frontier model', 0, 1, 30),
    yAxis: shareAxis('right answers', from, to, 56),
    series: [
      // The scorer's own line last, on top of the others.
      ...curves.slice(1),
      ...(marked
        ? [
            lineSeries({
              color: threshold,
              points: [
                [marked.frontierShare, from],
                [marked.frontierShare, to],
              ],
              dashed: true,
            }),
          ]
        : []),
      curves[0]!,
      {
        type: 'scatter',
        z: 3,
        silent: true,
        symbolSize: 10,
        data: [
          dot([0, ends[0]!.accuracy], 'var(--text)', `all OSS ${formatShare(ends[0]!.accuracy)}`),
          dot([1, ends[1]!.accuracy], 'var(--text)', `all frontier ${formatShare(ends[1]!.accuracy)}`),
          ...(marked
            ? [
                dot(
                  [marked.frontierShare, marked.accuracy],
                  threshold,
                  `${formatShare(marked.frontierShare)} escalate, ${formatShare(marked.accuracy)} right`,
                ),
              ]
            : []),
        ],
      },
    ],
  }
  const entries = rankings.map(({ name }) => ({ name, color: colorOf(name) }))
  if (marked) entries.push({ name: 'threshold', color: threshold })
  return (
    legend(entries) +
    renderPlot(option, {
      label: 'Share of right answers by share of steps that escalate, for each ranking',
      height: 430,
    })
  )
}

/** What was said of P(OSS right) against what was seen, in bins of equal numbers. */
export function calibrationPlot(bins: CalibrationFigures['bins']): string {
  const points = bins.map(({ predicted, observed }): Point => [predicted, observed])
  const option: PlotOption = {
    grid,
    xAxis: shareAxis('P(OSS right) said', 0, 1, 30),
    yAxis: shareAxis('right answers seen', 0, 1, 56),
    series: [
      lineSeries({
        color: own['random']!,
        points: [
          [0, 0],
          [1, 1],
        ],
        dashed: true,
      }),
      lineSeries({ color: own['scorer']!, points, width: 3 }),
      {
        type: 'scatter',
        z: 3,
        silent: true,
        symbolSize: 10,
        itemStyle: { color: own['scorer']!, opacity: 1 },
        data: points,
      },
    ],
  }
  return renderPlot(option, {
    label: 'Share of right answers by the P(OSS right) that was said, in bins of equal numbers',
    height: 430,
  })
}

/** Ends of an axis that lie anywhere are not written: they would crowd the round ones. */
function isRound(share: number): boolean {
  return Math.abs(share * 20 - Math.round(share * 20)) < 1e-9
}

function roundShare(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`
}
