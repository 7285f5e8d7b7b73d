/** The body of every answer that is no success, in OpenAI's form: its SDKs turn it into their error classes. */
export interface ApiErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null }
}

interface ApiErrorOptions {
  type?: 'invalid_request_error' | 'rate_limit_error' | 'server_error'
  param?: string
  code?: string
  retryAfterSeconds?: number
}

/** A refusal that the client is told as it stands; anything else that is thrown becomes a bare 500. */
export class ApiError extends Error {
  readonly status: number
  readonly body: ApiErrorBody
  readonly retryAfterSeconds: number | undefined
  constructor(status: number, message: string, options: ApiErrorOptions = {}) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    const { type = 'invalid_request_error', param = null, code = null } = options
    this.body = { error: { message, type, param, code } }
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

export const badRequest = (message: string, param?: string, code?: string): ApiError =>
  new ApiError(400, message, { ...(param === undefined ? {} : { param }), ...(code === undefined ? {} : { code }) })

export const modelNotFound = (model: string): ApiError =>
  new ApiError(404, `The model '${model}' does not exist`, { param: 'model', code: 'model_not_found' })

export const contextExceeded = (promptTokens: number, answerTokens: number, contextTokens: number): ApiError =>
  badRequest(
    `This model's maximum context length is ${contextTokens} tokens. However, you requested ` +
      `${promptTokens + answerTokens} tokens (${promptTokens} in the messages, ${answerTokens} in the completion).`,
    'messages',
    'context_length_exceeded',
  )

export const queueFull = (retryAfterSeconds: number): ApiError =>
  new ApiError(429, `All sequences are busy and the queue is full; retry in ${retryAfterSeconds} s`, {
    type: 'rate_limit_error',
    code: 'queue_full',
    retryAfterSeconds,
  })

export const notReady = (why: string): ApiError =>
  new ApiError(503, why, { type: 'server_error', code: 'not_ready', retryAfterSeconds: 2 })

/** What fastify and its body parser throw, told in the same form; undefined for what is our fault. */
export function fromHttpError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error
  if (!(error instanceof Error) || !('statusCode' in error) || typeof error.statusCode !== 'number') return undefined
  if (error.statusCode === 413) return new ApiError(413, 'The request body is too large', { code: 'request_too_large' })
  // The parser's message may quote the body: it is not passed on.
  if (error instanceof SyntaxError || error.statusCode === 400) return badRequest('The body is not valid JSON')
  if (error.statusCode === 415) return new ApiError(415, 'Use content-type application/json')
  return error.statusCode < 500 ? new ApiError(error.statusCode, 'The request cannot be read') : undefined
}
