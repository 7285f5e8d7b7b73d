import { topicSpan } from '#lib/client/topic-range'
import type { DeadLetter } from '#lib/dead-letters/dead-letter'
import { readLetters } from '#lib/dead-letters/read-letters'
import { inNamespace, outOfNamespace } from '#lib/events/topics'
import type { CliContext, Connection } from './context.ts'
import { createProgress } from './progress.ts'

/** Which letters are meant: durations before `nowMs`, in ms. */
export interface LetterFilter {
  since?: number
  until?: number
  code?: string
  topic?: string
}

/** The letters that the filter lets through, one after the other, with progress. */
export async function scanLetters(
  context: Pick<CliContext, 'stderr' | 'signal'>,
  { config, ...deps }: Connection,
  { nowMs, since, until, code, topic }: LetterFilter & { nowMs: number },
  onLetter: (letter: DeadLetter) => void | boolean | Promise<void | boolean>,
): Promise<void> {
  const { namespace } = config
  const span = await topicSpan(deps, [inNamespace(namespace, 'agent.deadletter')], {
    sinceMs: since === undefined ? undefined : nowMs - since,
    untilMs: until === undefined ? undefined : nowMs - until,
  })
  const isWanted = (letter: DeadLetter): boolean =>
    (code === undefined || letter.code === code) &&
    (topic === undefined || letter.origin.topic === topic || outOfNamespace(namespace, letter.origin.topic) === topic)
  const progress = createProgress(context, 'reading agent.deadletter')
  progress.total(span.offsets)
  try {
    await readLetters(deps, {
      span,
      signal: context.signal,
      onRecord: () => progress.step(),
      onLetter: (letter) => (isWanted(letter) ? onLetter(letter) : undefined),
    })
  } finally {
    progress.end()
  }
}
