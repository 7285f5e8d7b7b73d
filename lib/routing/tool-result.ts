/** How a failure begins when a tool reports it as text. Anchored: "0 errors found" is none. */
const failureOpening =
  /^\W{0,4}(?:(?:\w{1,40}(?:error|exception)|fatal|panic)\b|traceback \(most recent call last\)|(?:error|exception|failed|failure|denied|forbidden|unauthorized|timed? ?out)\b(?!\s*(?:rate|count|[:=]\s*0\b))|(?:could not|cannot|can't|unable to|permission denied|access denied|no such|not found|invalid)\b|(?:http(?:\/[\d.]+)?|status)\W{0,3}[45]\d\d\b|[^.\n]{0,60}\bstatus code\W{0,3}[45]\d\d\b)/i

const failureStatus = /^(?:error|errored|fail|failed|failure|denied|forbidden|timeout|timed_out|exception)$/i

/** Longest result that is parsed as JSON; beyond it the first characters decide. */
const maxParsedChars = 65_536

/**
 * True where a tool's result reports a failure: a text that begins like one, a JSON object with an error's usual
 * fields, or MCP's `isError`. An empty result and an empty list are answers.
 */
export function isFailedResult(text: string): boolean {
  const trimmed = text.trimStart()
  if (trimmed.startsWith('{') && trimmed.length <= maxParsedChars) {
    try {
      return isErrorObject(JSON.parse(trimmed) as Record<string, unknown>)
    } catch {
      // Not JSON after all, or cut off.
    }
  }
  if (trimmed.startsWith('{')) return /^\{\s*"(?:isError"\s*:\s*true|error"\s*:\s*["{])/.test(trimmed)
  return failureOpening.test(trimmed.slice(0, 200))
}

function isErrorObject(result: Record<string, unknown>): boolean {
  if (result['isError'] === true || result['is_error'] === true) return true
  if (result['success'] === false || result['ok'] === false) return true
  if (isPresent(result['error']) || isPresent(result['errors']) || isPresent(result['exception'])) return true
  const status = result['status'] ?? result['statusCode'] ?? result['status_code']
  if (typeof status === 'string') return failureStatus.test(status)
  return typeof status === 'number' && status >= 400 && status < 600
}

/** `"error": null`, `""`, `false`, `0` and `[]` say that there was none. */
function isPresent(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value)
}
