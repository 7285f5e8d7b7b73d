import { escapeHtml } from './report-text.ts'

/** A plot as SVG text, in pixels of its viewBox; colours are classes that the page's style gives for light and dark. */
export interface Plot {
  /** Read out where the picture cannot be seen. */
  label: string
  x: Axis
  y: Axis
  lines: PlotLine[]
  dots: PlotDot[]
}

export interface Axis {
  title: string
  from: number
  to: number
  format: (value: number) => string
}

export interface PlotLine {
  /** Of the page's style. */
  className: string
  points: readonly Point[]
}

export interface PlotDot {
  className: string
  at: Point
  /** Beside the dot, on the side that has room. */
  text?: string
  /** Shown where the pointer rests. */
  hint?: string
}

export type Point = readonly [x: number, y: number]

const width = 720
const height = 420
const left = 84
const right = 36
const top = 16
const bottom = 52
const mostTicks = 7

/** Why by hand? Two static plots need a hundred lines; the libraries that draw SVG without a browser bring tens of megabytes. */
export function drawPlot({ label, x, y, lines, dots }: Plot): string {
  const toX = (value: number): number => left + ((value - x.from) / (x.to - x.from)) * (width - left - right)
  const toY = (value: number): number =>
    height - bottom - ((value - y.from) / (y.to - y.from)) * (height - top - bottom)
  const path = (points: readonly Point[]): string =>
    points.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${round(toX(px))} ${round(toY(py))}`).join('')
  const parts = [
    ...ticks(x).map(
      (value) =>
        `<path class="grid" d="M${round(toX(value))} ${top}V${height - bottom}"/>` +
        `<text x="${round(toX(value))}" y="${height - bottom + 20}" text-anchor="middle">${escapeHtml(x.format(value))}</text>`,
    ),
    ...ticks(y).map(
      (value) =>
        `<path class="grid" d="M${left} ${round(toY(value))}H${width - right}"/>` +
        `<text x="${left - 8}" y="${round(toY(value) + 4)}" text-anchor="end">${escapeHtml(y.format(value))}</text>`,
    ),
    `<text x="${(left + width - right) / 2}" y="${height - 8}" text-anchor="middle">${escapeHtml(x.title)}</text>`,
    `<text transform="translate(14 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(y.title)}</text>`,
    ...lines.map(({ className, points }) => `<path class="line ${className}" d="${path(points)}"/>`),
    ...dots.map(({ className, at, text, hint }) => {
      const [px, py] = [round(toX(at[0])), round(toY(at[1]))]
      const title = hint === undefined ? '' : `<title>${escapeHtml(hint)}</title>`
      return `<circle class="dot ${className}" cx="${px}" cy="${py}" r="5">${title}</circle>${text === undefined ? '' : labelAt(px, py, text)}`
    }),
  ]
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(label)}">${parts.join('')}</svg>`
}

function labelAt(px: number, py: number, text: string): string {
  const leftwards = px > (left + width - right) / 2
  const x = px + (leftwards ? -10 : 10)
  // Curves rise: below the dot there is room.
  const y = Math.min(py + 18, height - bottom - 6)
  return `<text class="mark" x="${round(x)}" y="${round(y)}" text-anchor="${leftwards ? 'end' : 'start'}">${escapeHtml(text)}</text>`
}

/** Round values within the axis: steps of 1, 2 or 5 times a power of ten. */
export function ticks({ from, to }: Pick<Axis, 'from' | 'to'>): number[] {
  const rough = (to - from) / mostTicks
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough)!
  const found: number[] = []
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) found.push(i * step)
  return found
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10
}
