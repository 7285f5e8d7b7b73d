import { ShuntError } from '#lib/errors'
import type { Logger } from '#lib/telemetry/logger'
import type { KafkaFactory } from './kafka.ts'
import { createTail } from './tail.ts'

/** Name of the order in agent.control that says: this group once had an offset for the partition. */
export function markerName(group: string, topic: string, partition: number): string {
  return `topics/${group}/${topic}/${partition}`
}

/** Names of all markers that stand. */
export async function readMarkers(
  deps: { kafka: KafkaFactory; log: Pick<Logger, 'warn' | 'info' | 'debug' | 'error'> },
  options: { controlTopic: string },
): Promise<Set<string>> {
  const markers = new Set<string>()
  const tail = createTail(deps, {
    topics: [options.controlTopic],
    from: 'beginning',
    groupPrefix: `${options.controlTopic}.markers`,
    onRecord: (record) => {
      const name = record.key?.toString() ?? ''
      if (!name.startsWith('topics/')) return
      if (record.value === null) markers.delete(name)
      else markers.add(name)
    },
  })
  try {
    await tail.caughtUp
    return markers
  } finally {
    await tail.stop()
  }
}

/** Why a lane has no committed offset: nobody applied the topics yet, or the offset was there and is lost. */
export async function explainMissingOffset(
  deps: { kafka: KafkaFactory; log: Pick<Logger, 'warn' | 'info' | 'debug' | 'error'> },
  options: { controlTopic: string; group: string; topic: string; partition: number },
): Promise<ShuntError> {
  const { group, topic, partition } = options
  const markers = await readMarkers(deps, options)
  if (markers.has(markerName(group, topic, partition)))
    return new ShuntError(
      'SHUNT_OFFSETS_LOST',
      `group ${group} has lost its offset of ${topic}/${partition}; starting over would do and bill all work again: ` +
        'run `shunt lanes recover`',
    )
  return new ShuntError(
    'SHUNT_TOPICS_NOT_APPLIED',
    `group ${group} has no offset for ${topic}/${partition}: run \`shunt topics apply\``,
  )
}
