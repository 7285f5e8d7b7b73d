import {
  BrokenCircuitError,
  bulkhead,
  BulkheadRejectedError,
  circuitBreaker,
  ConsecutiveBreaker,
  handleWhen,
} from 'cockatiel'
import type { ChatRequest } from '#lib/events/chat-request'
import type { StepKind } from '#lib/events/types.generated'
import type { createHttpFetch } from '#lib/models/http-fetch'
import { timeLimit } from '#lib/models/time-limit'
import type { ScorerFallback } from '#lib/routing/scoring'
import { abortable } from '#lib/stream/abortable'

export interface HttpScorerOptions {
  url: string
  /** Sent as a bearer token. */
  apiKey: string | null
  /** From the question to the answer, the wait for a slot included. */
  timeoutMs: number
  /** Questions under way. Four times as many wait; what comes beyond is not asked. */
  maxInFlight: number
  /** Failures in a row that open the circuit breaker. @default 5 */
  failuresToOpen?: number
  /** How long it stays open before one question tries, ms. @default 10_000 */
  openMs?: number
}

export interface ScorerQuestion {
  stepId: string
  kind: StepKind
  messages: ChatRequest['messages']
  tools: NonNullable<ChatRequest['tools']>
}

/** At least one of the two is a number. */
export interface ScorerAnswer {
  pSuccessPpm: number | null
  gainPpm: number | null
}

export interface HttpScorer {
  /** Its answer, or why there is none. Never rejects. */
  ask(question: ScorerQuestion): Promise<ScorerAnswer | { fallback: ScorerFallback }>
}

/** Why a question has no answer; `faulty` where that speaks against the scorer, and not against the question. */
class NoAnswer extends Error {
  readonly fallback: ScorerFallback
  readonly faulty: boolean
  constructor(fallback: ScorerFallback, faulty: boolean, cause?: unknown) {
    super(fallback, { cause })
    this.name = 'NoAnswer'
    this.fallback = fallback
    this.faulty = faulty
  }
}

/**
 * A scorer behind HTTP: POST `{stepId, kind, messages, tools}`, answer `{pSuccess, gain}` (docs/scorers.md). A step waits
 * for it at most `timeoutMs`, whatever it does; while it fails again and again it is not asked at all.
 */
export function createHttpScorer(
  deps: { fetch: ReturnType<typeof createHttpFetch> },
  options: HttpScorerOptions,
): HttpScorer {
  const { url, apiKey, timeoutMs, maxInFlight, failuresToOpen = 5, openMs = 10_000 } = options
  const slots = bulkhead(maxInFlight, 4 * maxInFlight)
  const breaker = circuitBreaker(
    handleWhen((error) => error instanceof NoAnswer && error.faulty),
    { halfOpenAfter: openMs, breaker: new ConsecutiveBreaker(failuresToOpen) },
  )
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }),
  }

  async function call(question: ScorerQuestion, signal: AbortSignal): Promise<ScorerAnswer> {
    const answer = await deps
      .fetch(url, { method: 'POST', headers, body: JSON.stringify(question), signal })
      .catch((cause: unknown) => {
        throw new NoAnswer(signal.aborted ? 'timeout' : 'unreachable', true, cause)
      })
    // What is wrong with one question need not be wrong with the next.
    if (answer.status !== 200) throw new NoAnswer('refused', answer.status >= 500 || answer.status === 429)
    return parseAnswer(await answer.text())
  }

  return {
    async ask(question) {
      using limit = timeLimit(timeoutMs)
      const { signal } = limit
      const asked = slots.execute(() => breaker.execute(() => call(question, signal)), signal)
      try {
        // Waiting for a slot, or for the one question that tries, does not end by itself when the time is over.
        return await abortable(asked, signal)
      } catch (error) {
        return { fallback: fallbackFor(error) }
      }
    },
  }
}

function fallbackFor(error: unknown): ScorerFallback {
  if (error instanceof NoAnswer) return error.fallback
  if (error instanceof BrokenCircuitError) return 'breaker_open'
  if (error instanceof BulkheadRejectedError) return 'overloaded'
  return 'timeout'
}

function parseAnswer(text: string): ScorerAnswer {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    // NaN and Infinity, as Python writes them, end here too.
    throw new NoAnswer('answer_invalid', true)
  }
  if (typeof data !== 'object' || data === null) throw new NoAnswer('answer_invalid', true)
  const { pSuccess = null, gain = null } = data as { pSuccess?: unknown; gain?: unknown }
  const answer = { pSuccessPpm: shareOf(pSuccess, 0), gainPpm: shareOf(gain, -1) }
  if (answer.pSuccessPpm === null && answer.gainPpm === null) throw new NoAnswer('answer_invalid', true)
  return answer
}

/** In parts per million; null for null. */
function shareOf(value: unknown, least: number): number | null {
  if (value === null) return null
  if (typeof value !== 'number' || !(value >= least && value <= 1)) throw new NoAnswer('answer_invalid', true)
  return Math.round(value * 1_000_000)
}
