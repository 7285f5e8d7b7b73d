import type { RecordPlace } from '#lib/client/waits'
import { deadLetterHeaders as header } from '#lib/stream/dead-letter'
import type { InboundRecord } from '#lib/stream/types'

/** A record that could not be handled, as it was, and why it is here. */
export interface DeadLetter {
  /** Of its first part in agent.deadletter. */
  place: RecordPlace
  parts: number
  /** Where the record lay; its topic has its namespace. */
  origin: RecordPlace & { timestampMs: number }
  code: string
  message: string
  /** When it was given up, epoch ms. */
  atMs: number
  key: Buffer | null
  value: Buffer | null
  /** The record's own. */
  headers: Record<string, string | Buffer>
  /** Names of its own headers that were too large to keep. */
  droppedHeaders: string[]
}

/** A letter without its bytes, of which there may be many. */
export type LetterSummary = Omit<DeadLetter, 'value' | 'headers'> & { bytes: number }

export function summaryOf({ value, headers: _headers, ...letter }: DeadLetter): LetterSummary {
  return { ...letter, bytes: value?.length ?? 0 }
}

/**
 * Puts numbered parts together again, as they come by partition and offset. Other letters may lie between the parts of one:
 * a transaction does not keep its records side by side. Parts whose beginning was not read make no letter, nor does a
 * record that is no dead letter.
 */
export function createLetterAssembly() {
  const open = new Map<string, { letter: DeadLetter; values: Buffer[] }>()

  return {
    /** The letter that this record completes. */
    add(record: InboundRecord): DeadLetter | undefined {
      const text = textOf(record)
      const letter = letterOf(record, text)
      if (!letter) return undefined
      const part = Number(text(header.part) ?? 1)
      if (letter.parts <= 1) return letter
      const name = `${record.partition} ${letter.origin.topic}/${letter.origin.partition}/${letter.origin.offset}`
      const found = part === 1 ? { letter, values: [] } : open.get(name)
      if (found?.values.length !== part - 1) return undefined
      found.values.push(record.value ?? Buffer.alloc(0))
      open.set(name, found)
      if (part < letter.parts) return undefined
      open.delete(name)
      return { ...found.letter, value: Buffer.concat(found.values) }
    },
  }
}

type Text = (name: string) => string | undefined

function textOf({ headers }: Pick<InboundRecord, 'headers'>): Text {
  return (name) => headers[name]?.toString()
}

function letterOf(record: InboundRecord, text: Text): DeadLetter | undefined {
  const topic = text(header.topic)
  const partition = Number(text(header.partition))
  const offset = Number(text(header.offset))
  if (topic === undefined || !Number.isSafeInteger(partition) || !Number.isSafeInteger(offset)) return undefined
  return {
    place: { topic: record.topic, partition: record.partition, offset: record.offset },
    parts: Number(text(header.parts) ?? 1),
    origin: { topic, partition, offset, timestampMs: Number(text(header.timestampMs) ?? 0) },
    code: text(header.code) ?? '',
    message: text(header.message) ?? '',
    atMs: Number(text(header.atMs) ?? record.timestampMs),
    key: text(header.keyless) === 'true' ? null : record.key,
    value: text(header.tombstone) === 'true' ? null : record.value,
    headers: ownHeaders(record),
    droppedHeaders: (text(header.dropped) ?? '').split(',').filter((name) => name !== ''),
  }
}

const addedNames: ReadonlySet<string> = new Set(Object.values(header))

function ownHeaders({ headers }: Pick<InboundRecord, 'headers'>): DeadLetter['headers'] {
  const own: DeadLetter['headers'] = {}
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !addedNames.has(name)) own[name] = value
  return own
}
