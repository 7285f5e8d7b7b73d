import { pino, type Logger } from 'pino'

export type { Logger }

/**
 * One line of JSON a record on stdout. Errors are reduced to name, code, message and call sites: their other fields
 * may hold a request, and V8 quotes the text that would not parse in a SyntaxError's message, which may be a prompt.
 */
export function createLogger(service: string, level: string): Logger {
  return pino({ level, base: { service, pid: process.pid }, serializers: { err: describeError } })
}

interface ErrorDescription {
  name: string
  message: string
  code?: string
  at?: string[]
  cause?: ErrorDescription
}

export function describeError(error: unknown): ErrorDescription {
  if (!(error instanceof Error)) return { name: typeof error, message: 'something that is no Error was thrown' }
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  const at = error.stack?.split('\n').flatMap((line) => (/^\s+at /.test(line) ? [line.trim().slice(3)] : []))
  return {
    name: error.name,
    message: error instanceof SyntaxError ? 'not parseable (text withheld)' : error.message,
    ...code,
    ...(at ? { at: at.slice(0, 6) } : {}),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  }
}
