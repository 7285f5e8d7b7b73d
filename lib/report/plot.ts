import { BarChart, LineChart, SankeyChart, ScatterChart } from 'echarts/charts'
import { GridComponent, MarkLineComponent } from 'echarts/components'
import { init, use, type ComposeOption } from 'echarts/core'
import type { BarSeriesOption, LineSeriesOption, SankeySeriesOption, ScatterSeriesOption } from 'echarts/charts'
import type { GridComponentOption, MarkLineComponentOption } from 'echarts/components'
import { SVGRenderer } from 'echarts/renderers'
import { escapeHtml } from './html.ts'

use([BarChart, LineChart, SankeyChart, ScatterChart, GridComponent, MarkLineComponent, SVGRenderer])

export type PlotOption = ComposeOption<
  | BarSeriesOption
  | LineSeriesOption
  | SankeySeriesOption
  | ScatterSeriesOption
  | GridComponentOption
  | MarkLineComponentOption
>

export interface PlotFrame {
  /** What the plot shows, for who cannot see it. */
  label: string
  height: number
}

const hoverStyle = /<style[^]*<\/style>/
const clippings = /<clipPath\b[^]*?<\/clipPath>|<\/?defs\b[^>]*>/g
/**
 * Numbered through the process, and read by nobody here; nor does anything leave its axes. Quotes of texts are escaped: no
 * text is taken for one.
 */
const forScripts = / (?:class|ecmeta_\w+|pointer-events|clip-path)="[^"]*"/g

/** In user units; the page scales it to its width. */
export const plotWidth = 760

export const axisText = { color: 'var(--quiet)', fontSize: 12 }
export const axisStyle = {
  axisLabel: axisText,
  axisLine: { lineStyle: { color: 'var(--rule)' } },
  splitLine: { lineStyle: { color: 'var(--grid)' } },
  nameTextStyle: axisText,
}

/** In HTML, since the renderer knows no fonts, and takes text for narrower than it is. */
export function legend(entries: readonly { name: string; color: string }[]): string {
  const items = entries.map(
    ({ name, color }) => `<li style="color: ${color}"><i></i><span>${escapeHtml(name)}</span></li>`,
  )
  return `<ul class="legend">${items.join('')}</ul>`
}

/**
 * A plot as SVG, drawn here: the page needs no script. Colours are the page's own variables, so that one drawing serves
 * light, dark and paper; texts are escaped by the renderer. What only a pointer would see is left out.
 */
export function renderPlot(option: PlotOption, { label, height }: PlotFrame): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: plotWidth, height })
  try {
    chart.setOption({ ...option, animation: false, textStyle: { fontFamily: 'inherit', color: 'var(--text)' } })
    const drawn = chart.renderToSVGString()
    return [
      `<svg role="img" aria-label="${escapeHtml(label)}" viewBox="0 0 ${plotWidth} ${height}">`,
      drawn
        .slice(drawn.indexOf('>') + 1)
        .replace(hoverStyle, '')
        .replaceAll(clippings, '')
        .replaceAll(forScripts, ''),
    ].join('')
  } finally {
    chart.dispose()
  }
}
