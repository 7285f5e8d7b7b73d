import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CliContext } from './context.ts'
import { createProgress } from './progress.ts'

/** Time that work may hold the process before Ctrl-C and the progress bar have their turn. */
const turnMs = 50

/** Runs a generator of `total` steps to its end, with progress. Throws the reason of Ctrl-C. */
export async function inTurns<T>(
  context: Pick<CliContext, 'stderr' | 'signal'>,
  what: string,
  total: number,
  running: Generator<unknown, T>,
): Promise<T> {
  const progress = createProgress(context, what)
  progress.total(total)
  let since = performance.now()
  try {
    for (;;) {
      const next = running.next()
      if (next.done) return next.value
      progress.step()
      if (performance.now() - since < turnMs) continue
      await nextTurn()
      context.signal.throwIfAborted()
      since = performance.now()
    }
  } finally {
    progress.end()
  }
}

/** `read` of each item, as `inTurns`. */
export function mapInTurns<A, B>(
  context: Pick<CliContext, 'stderr' | 'signal'>,
  what: string,
  items: readonly A[],
  read: (item: A) => B,
): Promise<B[]> {
  return inTurns(context, what, items.length, mapping(items, read))
}

function* mapping<A, B>(items: readonly A[], read: (item: A) => B): Generator<void, B[]> {
  const found: B[] = []
  for (const item of items) {
    found.push(read(item))
    yield
  }
  return found
}
