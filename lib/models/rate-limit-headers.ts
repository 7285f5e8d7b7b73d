/** What the provider says is left, in the headers of an answer. */
export interface LimitReport {
  requests?: number
  inputTokens?: number
  outputTokens?: number
  /** Input and output together. */
  tokens?: number
  /** Until all of it is back; absent where it does not say. */
  resetMs?: number
}

/** Names of what is left and when it is back, of OpenAI (and Azure, vLLM's gateways, Groq …) and of Anthropic. */
const fields = [
  ['requests', 'x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests'],
  ['tokens', 'x-ratelimit-remaining-tokens', 'x-ratelimit-reset-tokens'],
  ['requests', 'anthropic-ratelimit-requests-remaining', 'anthropic-ratelimit-requests-reset'],
  ['tokens', 'anthropic-ratelimit-tokens-remaining', 'anthropic-ratelimit-tokens-reset'],
  ['inputTokens', 'anthropic-ratelimit-input-tokens-remaining', 'anthropic-ratelimit-input-tokens-reset'],
  ['outputTokens', 'anthropic-ratelimit-output-tokens-remaining', 'anthropic-ratelimit-output-tokens-reset'],
] as const

/** What the provider says is left of its limits; undefined where it does not say. */
export function readLimitReport(headers: unknown, nowMs: number = Date.now()): LimitReport | undefined {
  if (!(headers instanceof Headers)) return undefined
  const report: LimitReport = {}
  for (const [name, remaining, reset] of fields) {
    const text = headers.get(remaining)
    if (text === null || !/^\d{1,15}$/.test(text)) continue
    report[name] = Number(text)
    const resetMs = readReset(headers.get(reset), nowMs)
    if (resetMs !== undefined) report.resetMs = Math.max(report.resetMs ?? 0, resetMs)
  }
  return Object.keys(report).length === 0 ? undefined : report
}

/**
 * How long to wait after a 429 without Retry-After, ms: until the limits of which nothing is left are back, or what a
 * plain X-RateLimit-Reset says.
 */
export function readLimitWait(headers: unknown, nowMs: number = Date.now()): number | undefined {
  if (!(headers instanceof Headers)) return undefined
  const waits = fields.flatMap(([, remaining, reset]) => {
    const waitMs = headers.get(remaining) === '0' ? readReset(headers.get(reset), nowMs) : undefined
    return waitMs === undefined ? [] : [waitMs]
  })
  if (waits.length > 0) return Math.max(...waits)
  return readReset(headers.get('x-ratelimit-reset'), nowMs)
}

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** A duration (`6m0s`, `20ms`), a date, seconds, or the epoch in seconds or milliseconds. Longer than a day is no answer. */
function readReset(text: string | null, nowMs: number): number | undefined {
  if (text === null || text === '') return undefined
  const waitMs = durationOf(text) ?? momentOf(text) - nowMs
  return waitMs <= units.d ? Math.max(0, Math.ceil(waitMs)) : undefined
}

function durationOf(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) < 1e9 ? Number(text) * 1_000 : undefined
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(text)) return undefined
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g))
    sum += Number(amount) * units[unit as keyof typeof units]
  return sum
}

function momentOf(text: string): number {
  const number = Number(text)
  if (Number.isNaN(number)) return Date.parse(text)
  return number < 1e11 ? number * 1_000 : number
}
