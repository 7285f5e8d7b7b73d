import { readLimitReport, readLimitWait, type LimitReport } from './rate-limit-headers.ts'

/** What is known of a reason why a call brought no answer. */
interface ReasonInfo {
  /** The same call may succeed a little later. */
  transient: boolean
  /** The model may have worked, and may bill for it, although no answer arrived. */
  outcomeUnknown: boolean
}

export const callFailures = {
  /** 429: too many requests or tokens for now. */
  rate_limited: { transient: true, outcomeUnknown: false },
  /** 503 or 529: no free slot. */
  overloaded: { transient: true, outcomeUnknown: false },
  /** Any other 5xx. */
  server_error: { transient: true, outcomeUnknown: false },
  /** No connection was made: the request was never sent. */
  unreachable: { transient: true, outcomeUnknown: false },
  /** The connection broke before the whole answer had arrived. */
  cut_off: { transient: true, outcomeUnknown: true },
  /** 2xx with a body that is no answer. */
  malformed: { transient: true, outcomeUnknown: true },
  /** No answer within the time for one call. */
  timeout: { transient: true, outcomeUnknown: true },
  /** No answer by the step's deadline. */
  deadline: { transient: false, outcomeUnknown: true },
  /** The caller has lost interest: a lost lane, a drain whose grace is over. */
  cancelled: { transient: false, outcomeUnknown: true },
  bad_request: { transient: false, outcomeUnknown: false },
  context_length: { transient: false, outcomeUnknown: false },
  /** The request uses what this API cannot express; nothing was sent. */
  unsupported: { transient: false, outcomeUnknown: false },
  /** 401, 403: the key is missing, wrong, or not allowed to use the model. */
  auth: { transient: false, outcomeUnknown: false },
  /** A replay serves recorded answers, and the step got none from this model: nothing was sent, nor ever is. */
  not_recorded: { transient: false, outcomeUnknown: false },
  /** The account has no money left: a 402, or a 4xx that says so. Waiting does not help, another provider may. */
  quota: { transient: false, outcomeUnknown: false },
} as const satisfies Record<string, ReasonInfo>
export type CallFailure = keyof typeof callFailures

/** Thrown by a ChatModel. The message is for a person and holds no prompt or answer text. */
export class ModelCallError extends Error {
  readonly reason: CallFailure
  /** How long the server asks to wait, ms. */
  readonly retryAfterMs: number | undefined
  /** What the provider said is left of its limits. */
  readonly limits: LimitReport | undefined
  constructor(
    reason: CallFailure,
    message: string,
    options: { retryAfterMs?: number | undefined; limits?: LimitReport | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ModelCallError'
    this.reason = reason
    this.retryAfterMs = options.retryAfterMs
    this.limits = options.limits
  }
  get transient(): boolean {
    return callFailures[this.reason].transient
  }
  get outcomeUnknown(): boolean {
    return callFailures[this.reason].outcomeUnknown
  }
}

/** The fields that the errors of both SDKs share; both are generated from one template. */
interface SdkError {
  status?: unknown
  headers?: unknown
  code?: unknown
  type?: unknown
  error?: unknown
}

/**
 * What an SDK threw, as a ModelCallError. `deadline` is the caller's signal; the time for one call is the SDK's to keep.
 * Providers' messages are read for what they say of the context's length, and never passed on: some quote the prompt.
 */
export function toModelCallError(error: unknown, deadline: AbortSignal): ModelCallError {
  if (error instanceof ModelCallError) return error
  if (deadline.aborted)
    return isTimeout(deadline.reason)
      ? new ModelCallError('deadline', "no answer by the step's deadline")
      : new ModelCallError('cancelled', 'the caller cancelled the call')
  if (error instanceof Error && error.constructor.name === 'APIConnectionTimeoutError')
    return new ModelCallError('timeout', 'no answer within the time for one call')
  const status = statusOf(error)
  if (status !== undefined) return fromStatus(status, error as SdkError)
  const codes = errorCodes(error)
  const code = codes.find((each) => notSentCodes.has(each))
  if (code !== undefined) return new ModelCallError('unreachable', `no connection (${code})`)
  if (codes.includes('UND_ERR_RES_EXCEEDED_MAX_SIZE')) return new ModelCallError('malformed', 'the body has no end')
  if (error instanceof SyntaxError) return new ModelCallError('malformed', 'the body is not JSON')
  return new ModelCallError('cut_off', `the connection broke (${codes[0] ?? 'no code'})`)
}

const notSentCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

function fromStatus(status: number, error: SdkError): ModelCallError {
  const told = { retryAfterMs: waitOf(status, error.headers), limits: readLimitReport(error.headers) }
  const fail = (reason: CallFailure) => new ModelCallError(reason, `HTTP ${status}${label(error)}`, told)
  if (isOutOfMoney(status, error)) return fail('quota')
  if (status === 429) return fail('rate_limited')
  if (status === 401 || status === 403) return fail('auth')
  if (status === 503 || status === 529) return fail('overloaded')
  if (status >= 500) return fail('server_error')
  if (status === 408 || status === 409) return fail('server_error')
  if (status === 413 || contextWords.test(words(error))) return fail('context_length')
  return fail('bad_request')
}

/** A 429's limits say when to come back where Retry-After does not. */
function waitOf(status: number, headers: unknown): number | undefined {
  return readRetryAfter(headers) ?? (status === 429 ? readLimitWait(headers) : undefined)
}

const outOfMoneyCodes = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'billing_error',
])

/**
 * OpenAI: 429 with insufficient_quota. Anthropic: billing_error, or a 400 whose message begins with these words; only
 * its beginning is looked at, since some messages quote the prompt.
 */
function isOutOfMoney(status: number, error: SdkError): boolean {
  if (status === 402) return true
  if (status < 400 || status >= 500) return false
  const { code, type, message } = detailOf(error)
  if ([error.code, error.type, code, type].some((name) => outOfMoneyCodes.has(name as string))) return true
  return typeof message === 'string' && message.startsWith('Your credit balance is too low')
}

/** The error in the body: OpenAI's SDK has taken it out of its envelope, Anthropic's has not. */
function detailOf(error: SdkError): { code?: unknown; type?: unknown; message?: unknown } {
  const body = error.error
  if (typeof body !== 'object' || body === null) return {}
  if ('error' in body && typeof body.error === 'object' && body.error !== null) return body.error
  return body
}

/** OpenAI: context_length_exceeded. vLLM, SGLang, llama.cpp, Anthropic: words in the message. */
const contextWords =
  /context_length_exceeded|exceed_context_size|maximum context length|context (window|size|length)|prompt is too long/i

function words(error: SdkError): string {
  return JSON.stringify([error.code, error.type, error.error])
}

/** The error's type and code where they look like one: an identifier cannot be a quoted prompt. */
function label(error: SdkError): string {
  const names = [error.type, error.code].filter((name) => typeof name === 'string' && /^[a-z_]{1,64}$/.test(name))
  return names.length === 0 ? '' : ` (${names.join(', ')})`
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('status' in error)) return undefined
  return typeof error.status === 'number' ? error.status : undefined
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError'
}

/** The codes down the chain of causes: fetch hides the socket's error two levels deep. */
function errorCodes(error: unknown): string[] {
  const codes: string[] = []
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string') codes.push(at.code)
    if (at instanceof AggregateError)
      for (const each of at.errors) if ('code' in each && typeof each.code === 'string') codes.push(each.code)
  }
  return codes
}

/** Retry-After-Ms, or Retry-After in seconds or as a date; undefined where there is none that can be read. */
export function readRetryAfter(headers: unknown, nowMs: number = Date.now()): number | undefined {
  if (!(headers instanceof Headers)) return undefined
  const exact = Number(headers.get('retry-after-ms') ?? Number.NaN)
  if (exact >= 0) return exact
  const text = headers.get('retry-after')
  if (text === null) return undefined
  const seconds = Number(text)
  if (seconds >= 0) return seconds * 1_000
  const dateMs = Date.parse(text)
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs)
}
