import { narrowSpan, readRange, topicSpan, type ReadDeps, type TopicSpan } from '#lib/client/topic-range'
import { ShuntError } from '#lib/errors'
import { inNamespace } from '#lib/events/topics'
import { createLetterAssembly, type DeadLetter } from './dead-letter.ts'
import { isLetter, type LetterId } from './letter-id.ts'

export interface ReadLettersOptions {
  span: Pick<TopicSpan, 'from' | 'until'>
  signal: AbortSignal
  /** Each that is whole, one after the other. Returns true when no more is wanted. What it throws ends the reading. */
  onLetter: (letter: DeadLetter) => boolean | void | Promise<boolean | void>
  /** Each record of agent.deadletter. */
  onRecord?: () => void
}

/** Dead letters of a span, one in memory at a time. Throws SHUNT_KAFKA_UNAVAILABLE, or the signal's reason. */
export async function readLetters(deps: ReadDeps, options: ReadLettersOptions): Promise<void> {
  const { span, signal, onLetter, onRecord } = options
  const assembly = createLetterAssembly()
  const enough = new AbortController()
  await readRange(deps, {
    topics: Object.keys(span.until),
    ...span,
    signal,
    enough: enough.signal,
    async onRecord(record) {
      onRecord?.()
      const letter = assembly.add(record)
      if (letter && (await onLetter(letter)) === true) enough.abort()
    },
  })
}

/**
 * The letters that are named, each once, as they come. Throws SHUNT_EVENT_INVALID that names those which are not there.
 */
export async function findLetters(
  deps: ReadDeps,
  ids: readonly LetterId[],
  options: { namespace: string; signal: AbortSignal; onLetter: (letter: DeadLetter) => void | Promise<void> },
): Promise<void> {
  const missing = new Set(ids)
  const topic = inNamespace(options.namespace, 'agent.deadletter')
  const span = await topicSpan(deps, [topic], {})
  await readLetters(deps, {
    span: narrowed(span, ids),
    signal: options.signal,
    async onLetter(letter) {
      const named = [...missing].filter((id) => isLetter(id, letter))
      for (const id of named) missing.delete(id)
      if (named.length > 0) await options.onLetter(letter)
      return missing.size === 0
    },
  })
  if (missing.size > 0)
    throw new ShuntError(
      'SHUNT_EVENT_INVALID',
      `no dead letter ${[...missing].map(({ text }) => text).join(', ')}: see \`shunt deadletter list\``,
    )
}

/** Where every letter is named by its own place, what lies before it, and other partitions, need not be read. */
function narrowed(span: TopicSpan, ids: readonly LetterId[]): Pick<TopicSpan, 'from' | 'until'> {
  if (ids.some((id) => id.of === 'origin')) return span
  const { from } = narrowSpan(
    span,
    ids.map(({ place }) => place),
  )
  // To the end, since a letter may have parts.
  return { from, until: span.until }
}
