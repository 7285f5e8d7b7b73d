import type { RecordPlace } from '#lib/client/waits'
import { formatOrigin } from '#lib/audit/records'
import { ShuntError } from '#lib/errors'
import { inNamespace, outOfNamespace, topics } from '#lib/events/topics'
import type { DeadLetter } from './dead-letter.ts'

/** How a letter is named: by where it lies itself, or by the record that it holds. */
export interface LetterId {
  text: string
  of: 'letter' | 'origin'
  place: RecordPlace
}

/**
 * `2/17` and `agent.deadletter/2/17` are the letter's own partition and offset, as the list has them; with any other
 * topic, with its namespace or without, it is the record that could not be handled. Throws SHUNT_CONFIG_INVALID.
 */
export function parseLetterId(namespace: string, text: string): LetterId {
  const match = /^(?:(.+)\/)?(\d{1,9})\/(\d{1,15})$/.exec(text)
  if (!match)
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      `${text} names no dead letter: give PARTITION/OFFSET as \`shunt deadletter list\` has it, or TOPIC/PARTITION/OFFSET of the record`,
    )
  const [named = 'agent.deadletter', partition, offset] = match.slice(1)
  const bare = outOfNamespace(namespace, named) ?? (named in topics ? named : undefined)
  const topic = bare === undefined ? named : inNamespace(namespace, bare)
  const place = { topic, partition: Number(partition), offset: Number(offset) }
  return { text, of: bare === 'agent.deadletter' ? 'letter' : 'origin', place }
}

export function isLetter(id: LetterId, letter: Pick<DeadLetter, 'place' | 'origin'>): boolean {
  return formatOrigin(id.place) === formatOrigin(id.of === 'letter' ? letter.place : letter.origin)
}

/** As the list names it. */
export function letterName({ place }: Pick<DeadLetter, 'place'>): string {
  return `${place.partition}/${place.offset}`
}
