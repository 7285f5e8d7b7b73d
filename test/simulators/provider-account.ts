import { createSlidingWindow } from './sliding-window.ts'

/** What a request asks for, as a provider reckons it before it works on it. */
export interface RequestSize {
  inputTokens: number
  /** The longest answer that the request allows. */
  outputTokens: number
}

/** The limits in each window, and what is billed. */
export interface AccountOptions {
  /** @default a minute */
  windowMs?: number
  requests?: number | undefined
  inputTokens?: number | undefined
  outputTokens?: number | undefined
  /** Input and output together. */
  tokens?: number | undefined
  /** In micro-USD per million tokens. @default 0 */
  inputMicroUsdPerMTok?: number
  outputMicroUsdPerMTok?: number
}

export interface CountedRequest {
  /** Null where it is within the limits; else how long until there may be room, ms. */
  refusedForMs: number | null
  /** What is left, this request counted; of OpenAI's names. */
  headers: Record<string, string>
  /** It was answered: its tokens are what they are from now on, and are billed. */
  answered(used: RequestSize): void
}

export interface UsageShares {
  /** Of the limit that was nearest to its end at each look, parts of one. */
  mean: number
  least: number
  most: number
  looks: number
}

export interface ProviderAccount {
  /** Counts a request that has just arrived. */
  arrived(size: RequestSize): CountedRequest
  /** Between two moments, both epoch ms. */
  usage(fromMs: number, toMs: number): UsageShares
  report(): AccountReport
  stop(): void
}

export interface AccountReport {
  /** Arrivals that found a limit exceeded; every one of them is a fault of the client's. */
  violations: number
  /** Most that was counted of a limit at any arrival, parts of one. */
  peakShare: number
  answered: number
  /** Exact: rounded up for each call, as costMicroUsd does. */
  billedMicroUsd: number
}

const names = ['requests', 'inputTokens', 'outputTokens', 'tokens'] as const

/**
 * An account at a provider: counts every request from its arrival for one window, at its longest answer until it is
 * answered, and what is refused too. Bills what was answered.
 */
export function createProviderAccount(options: AccountOptions, nowMs: () => number = Date.now): ProviderAccount {
  const { windowMs = 60_000, inputMicroUsdPerMTok = 0, outputMicroUsdPerMTok = 0 } = options
  const window = createSlidingWindow(windowMs)
  const report: AccountReport = { violations: 0, peakShare: 0, answered: 0, billedMicroUsd: 0 }
  const looks: { atMs: number; share: number }[] = []

  const usedAt = (atMs: number) => {
    const used = window.usedAt(atMs)
    return { ...used, tokens: used.inputTokens + used.outputTokens }
  }
  const shareOf = (used: ReturnType<typeof usedAt>) =>
    Math.max(...names.map((name) => used[name] / (options[name] ?? Infinity)))

  const isLimited = names.some((name) => options[name] !== undefined)
  const look = () => looks.push({ atMs: nowMs(), share: shareOf(usedAt(nowMs())) })
  const ticker = isLimited ? setInterval(look, Math.max(10, windowMs / 300)).unref() : undefined

  function headersOf(used: ReturnType<typeof usedAt>, atMs: number): Record<string, string> {
    const reset = `${(window.nextLeavesInMs(atMs) / 1_000).toFixed(3)}s`
    const of = (what: 'requests' | 'tokens') => {
      const limit = options[what]
      if (limit === undefined) return {}
      return {
        [`x-ratelimit-limit-${what}`]: String(limit),
        [`x-ratelimit-remaining-${what}`]: String(Math.max(0, limit - used[what])),
        [`x-ratelimit-reset-${what}`]: reset,
      }
    }
    return { ...of('requests'), ...of('tokens') }
  }

  function bill(used: RequestSize): void {
    const cost = used.inputTokens * inputMicroUsdPerMTok + used.outputTokens * outputMicroUsdPerMTok
    report.answered++
    report.billedMicroUsd += Math.ceil(cost / 1_000_000)
  }

  return {
    arrived(size) {
      const atMs = nowMs()
      const correct = window.add(atMs, { requests: 1, ...size })
      const used = usedAt(atMs)
      const share = shareOf(used)
      report.peakShare = Math.max(report.peakShare, share)
      if (share > 1) report.violations++
      return {
        refusedForMs: share > 1 ? window.nextLeavesInMs(atMs) : null,
        headers: headersOf(used, atMs),
        answered(actual) {
          correct(actual.inputTokens, actual.outputTokens)
          bill(actual)
        },
      }
    },
    usage(fromMs, toMs) {
      const shares = looks.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs).map(({ share }) => share)
      const mean = shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length)
      return { mean, least: Math.min(...shares), most: Math.max(...shares), looks: shares.length }
    },
    report: () => ({ ...report }),
    stop: () => clearInterval(ticker),
  }
}
