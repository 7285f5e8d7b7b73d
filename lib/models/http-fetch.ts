import { Agent, EnvHttpProxyAgent, errors, request, type Dispatcher } from 'undici'

/** An answer above it is none: 256 thousand tokens are about a megabyte. */
const maxResponseBytes = 16 * 1024 * 1024

const settings = {
  // Each call has a time limit of its own (time-limit.ts).
  headersTimeout: 0,
  bodyTimeout: 0,
  maxResponseSize: maxResponseBytes,
  allowH2: false,
} satisfies Agent.Options

/** HTTPS_PROXY and NO_PROXY are heeded where Node's own fetch heeds them: with NODE_USE_ENV_PROXY=1. */
const newDispatcher = () =>
  process.env['NODE_USE_ENV_PROXY'] === '1' ? new EnvHttpProxyAgent(settings) : new Agent(settings)

/**
 * What the SDKs of the providers call instead of Node's fetch: the whole body is read before it resolves. Why? A worker
 * has thousands of calls under way; the streams and signals of fetch take 20 kB for each.
 *
 * A redirect is not followed but answered as what it is: it could lead out of the region that the policy names.
 */
export function createHttpFetch(
  dispatcher: Dispatcher = newDispatcher(),
): (url: string | URL | Request, init?: RequestInit) => Promise<Response> {
  return async (url, { method, headers, body, signal } = {}) => {
    const answer = await request(url instanceof Request ? url.url : url, {
      method: method ?? 'GET',
      headers: headers as Headers | Record<string, string>,
      body: body as string | null,
      signal: signal ?? null,
      dispatcher,
    }).catch(nameConnectTimeout)
    const text = await answer.body.text()
    const fields = Object.entries(answer.headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    )
    return new Response(text === '' ? null : text, { status: answer.statusCode, headers: fields })
  }
}

/** For the SDKs whatever speaks of a time-out is one of the call; but what never connected was never sent. */
function nameConnectTimeout(error: unknown): never {
  if (!(error instanceof errors.ConnectTimeoutError)) throw error
  throw Object.assign(new Error('no connection was made'), { code: error.code })
}
