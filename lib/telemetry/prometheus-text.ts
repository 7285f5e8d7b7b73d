/** One value of a process's /metrics. */
export interface MetricSample {
  name: string
  labels: Readonly<Record<string, string>>
  value: number
}

const line = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/
const label = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g

/** Pure: the samples of Prometheus's text format, whose comments and what cannot be read are passed over. */
export function parsePrometheusText(text: string): MetricSample[] {
  return text.split('\n').flatMap((each) => {
    const [, name, labels = '', value] = line.exec(each) ?? []
    if (name === undefined) return []
    const pairs = [...labels.matchAll(label)].map(([, key, quoted]) => [key!, unquoted(quoted!)] as const)
    return [{ name, labels: Object.fromEntries(pairs), value: numberOf(value!) }]
  })
}

function numberOf(text: string): number {
  return Number(text.replace(/^([+-]?)Inf$/, '$1Infinity'))
}

function unquoted(text: string): string {
  return text.replaceAll(/\\(.)/g, (_whole, escaped: string) => (escaped === 'n' ? '\n' : escaped))
}
