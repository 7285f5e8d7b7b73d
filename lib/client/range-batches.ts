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
  let ready: T | undefined
  let ended: { error?: unknown } | undefined
  let left = false
  let changed = Promise.withResolvers<void>()
  const tell = (): void => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  return {
    /** Waits until what was given before is taken. */
    async give(value: T): Promise<void> {
      while (ready !== undefined && !left) await changed.promise
      ready = value
      tell()
    },
    /** Undefined at the end; throws the error that it ended with, at once. */
    async take(): Promise<T | undefined> {
      while (ready === undefined && !ended) await changed.promise
      if (ended && 'error' in ended) throw ended.error
      const value = ready
      ready = undefined
      tell()
      return value
    },
    end(how: { error?: unknown } = {}): void {
      ended = how
      tell()
    },
    /** Nothing is taken any more, and nobody waits for it. */
    leave(): void {
      left = true
      tell()
    },
  }
}
