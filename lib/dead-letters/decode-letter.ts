import type { Codec } from '#lib/events/codec'
import { isRetryable, ShuntError } from '#lib/errors'
import { parseFeedback, parseStep } from '#lib/events/parse-step'
import type { EventName } from '#lib/events/subjects'
import { outOfNamespace, topics } from '#lib/events/topics'
import type { DeadLetter } from './dead-letter.ts'

export type DecodedLetter = { value: unknown } | { problem: Pick<ShuntError, 'code' | 'message'> }

/**
 * The letter's value as its topic's schema has it today: what was undecodable may have become readable since. Throws
 * SHUNT_REGISTRY_UNAVAILABLE (retryable).
 */
export async function decodeLetter(
  letter: Pick<DeadLetter, 'origin' | 'value' | 'headers'>,
  deps: { codec: Pick<Codec, 'decode'>; namespace: string },
): Promise<DecodedLetter> {
  const { codec } = deps
  const topic = outOfNamespace(deps.namespace, letter.origin.topic)
  try {
    if (topic === 'agent.steps' || topic === 'agent.steps.batch') return { value: await parseStep(letter, codec) }
    if (topic === 'agent.feedback') return { value: await parseFeedback(letter, codec) }
    const schema = (topic && topics[topic].schema) as EventName | null | undefined
    if (schema) return { value: await codec.decode(schema, letter.value) }
    return {
      problem: new ShuntError('SHUNT_EVENT_UNDECODABLE', `${letter.origin.topic} is no topic of this namespace`),
    }
  } catch (error) {
    if (error instanceof ShuntError && !isRetryable(error)) return { problem: error }
    throw error
  }
}
