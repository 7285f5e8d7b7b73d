import { BarChart, SankeyChart } from 'echarts/charts'
import { GridComponent, MarkLineComponent } from 'echarts/components'
import { init, use, type ComposeOption } from 'echarts/core'
import type { BarSeriesOption, SankeySeriesOption } from 'echarts/charts'
import type { GridComponentOption, MarkLineComponentOption } from 'echarts/components'
import { SVGRenderer } from 'echarts/renderers'
import { escapeHtml } from '#lib/calibration/report-text'

use([BarChart, SankeyChart, GridComponent, MarkLineComponent, SVGRenderer])

export type PlotOption = ComposeOption<
  BarSeriesOption | SankeySeriesOption | GridComponentOption | MarkLineComponentOption
>

export interface PlotFrame {
  /** What the plot shows, for who cannot see it. */
  label: string
  height: number
}

const hoverStyle = /<style[^]*<\/style>/
/** Numbered through the process, and read by nobody here. Quotes of texts are escaped: no text is taken for one. */
const forScripts = / (?:class|ecmeta_\w+|pointer-events)="[^"]*"/g

/** In user units; the page scales it to its width. */
export const plotWidth = 760

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
        .replaceAll(forScripts, ''),
    ].join('')
  } finally {
    chart.dispose()
  }
}
