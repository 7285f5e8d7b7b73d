/** Every code that Shunt reports, in errors, dead letters, results and HTTP answers. Documented in docs/codes.md. */
export const errorCodes = [
  'SHUNT_CONFIG_INVALID',
  'SHUNT_POLICY_INVALID',
  'SHUNT_POLICY_MISSING',
  'SHUNT_SCORER_INVALID',
  'SHUNT_SCORER_MISSING',
  'SHUNT_REGISTRY_UNAVAILABLE',
  'SHUNT_EVENT_UNDECODABLE',
  'SHUNT_EVENT_INVALID',
  'SHUNT_EVENT_TOO_LARGE',
  'SHUNT_STEP_ID_CONFLICT',
  'SHUNT_TENANT_UNKNOWN',
  'SHUNT_CONSTRAINT_UNKNOWN',
  'SHUNT_REQUEST_UNSUPPORTED',
  'SHUNT_TEXT_NOT_SEALED',
  'SHUNT_TEXT_UNREADABLE',
  'SHUNT_TEXT_ERASED',
  'SHUNT_DATA_KEYS_UNAVAILABLE',
  'SHUNT_NO_MODEL_PERMITTED',
  'SHUNT_NO_MODEL_FITS',
  'SHUNT_BUDGET_EXHAUSTED',
  'SHUNT_LEDGER_LOST',
  'SHUNT_RULE_REFUSED',
  'SHUNT_ATTEMPTS_EXHAUSTED',
  'SHUNT_DEADLINE_PASSED',
  'SHUNT_CANCELLED',
  'SHUNT_PAUSED',
  'SHUNT_ORDER_INVALID',
  'SHUNT_POISON',
  'SHUNT_HANDLER_FAILED',
  'SHUNT_OFFSETS_LOST',
  'SHUNT_TOPICS_NOT_APPLIED',
  'SHUNT_METADATA_UNKNOWN',
  'SHUNT_PROGRESS_TOO_LARGE',
  'SHUNT_KAFKA_UNAVAILABLE',
  'SHUNT_REDIS_UNAVAILABLE',
  'SHUNT_AWAIT_TIMEOUT',
  'SHUNT_SETUP_FAILED',
  'SHUNT_LABELS_TOO_FEW',
  'SHUNT_REPLAY_REFUSED',
  'SHUNT_CHECKPOINT_INVALID',
  'SHUNT_EXPORT_DAMAGED',
  'SHUNT_ANCHORS_DAMAGED',
] as const
export type ErrorCode = (typeof errorCodes)[number]

/** An error with a code that a program can act on and a message that names the remedy. */
export class ShuntError extends Error {
  readonly code: ErrorCode
  /** True when the same call may succeed later without anything being changed. */
  readonly retryable: boolean
  constructor(code: ErrorCode, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ShuntError'
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

/** True for an error that says itself that a later try may succeed. Never throws. */
export function isRetryable(error: unknown): boolean {
  return error instanceof ShuntError && error.retryable
}

/** The code of a Shunt error, else the error's name: for results, dead letters and metrics. Never throws. */
export function errorCodeOf(error: unknown): string {
  if (error instanceof ShuntError) return error.code
  return error instanceof Error ? error.name : 'unknown'
}

/** What may be told of an error outside: only our own messages are known to hold no prompt text. Never throws. */
export function messageOf(error: unknown): string {
  return error instanceof ShuntError
    ? error.message
    : 'an unexpected error; the service that wrote this has it in its log'
}
