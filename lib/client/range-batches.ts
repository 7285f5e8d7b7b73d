import type { InboundRecord } from '#lib/stream/types'
import { readRange, type ReadDeps, type ReadRangeOptions } from './topic-range.ts'

/**
 * What `readRange` gives, as batches that the reader takes: one lies ready while another is worked on, and no more is
 * fetched. Throws as `readRange` does.
 */
export async function* readBatches(
  deps: ReadDeps,
  options: Pick<ReadRangeOptions, 'topics' | 'from' | 'until' | 'signal'>,
): AsyncGenerator<readonly InboundRecord[]> {
  const enough = new AbortController()
  const handOff = createHandOff<readonly InboundRecord[]>()
  const reading = readRange(deps, { ...options, enough: enough.signal, onRecords: handOff.give }).then(
    () => handOff.end(),
    (error: unknown) => handOff.end({ error }),
  )
  try {
    for (let batch = await handOff.take(); batch !== undefined; batch = await handOff.take()) yield batch
  } finally {
    enough.abort()
    handOff.leave()
    await reading
  }
}

/** From a giver to a taker, one value at a time. */
function createHandOff<T>() {
  const state: { ready?: T | undefined; ended?: { error?: unknown }; left: boolean } = { left: false }
  let changed = Promise.withResolvers<void>()
  const tell = (): void => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  return {
    /** Waits until what was given before is taken. */
    async give(value: T): Promise<void> {
      while (state.ready !== undefined && !state.left) await changed.promise
      state.ready = value
      tell()
    },
    /** Undefined at the end; throws the error that it ended with, at once. */
    async take(): Promise<T | undefined> {
      while (state.ready === undefined && !state.ended) await changed.promise
      if (state.ended && 'error' in state.ended) throw state.ended.error
      const value = state.ready
      state.ready = undefined
      tell()
      return value
    },
    end(how: { error?: unknown } = {}): void {
      state.ended = how
      tell()
    },
    /** Nothing is taken any more, and nobody waits for it. */
    leave(): void {
      state.left = true
      tell()
    },
  }
}
