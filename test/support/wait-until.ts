import { setTimeout as sleep } from 'node:timers/promises'

/** Asks every 50 ms. Throws with `what` was waited for once the time is over. */
export async function waitUntil(
  isTrue: () => boolean | Promise<boolean>,
  what: string | (() => string),
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isTrue())) {
    if (performance.now() > deadline)
      throw new Error(`waited ${timeoutMs / 1_000} s for ${typeof what === 'string' ? what : what()}`)
    await sleep(50)
  }
}
