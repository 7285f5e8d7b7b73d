/** Longest that setTimeout can wait; a longer limit is none. */
const maxTimerMs = 2 ** 31 - 1

/**
 * A signal that aborts with a TimeoutError after `ms`, or with `outer` where there is one. Why not AbortSignal.timeout? Its timer goes on
 * until the garbage collector finds the signal, and a worker makes a thousand a second that hardly ever fire.
 */
export function timeLimit(ms: number, outer?: AbortSignal): Disposable & { signal: AbortSignal } {
  const controller = new AbortController()
  const expire = () => controller.abort(new DOMException('the time is up', 'TimeoutError'))
  const timer = ms > maxTimerMs ? undefined : setTimeout(expire, Math.max(0, ms))
  const follow = () => controller.abort(outer?.reason)
  if (outer?.aborted) follow()
  else outer?.addEventListener('abort', follow, { once: true })
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      outer?.removeEventListener('abort', follow)
    },
  }
}
