import { errorCodeOf, messageOf } from '#lib/errors'
import { headerBytes } from './transaction.ts'
import type { InboundRecord, OutboundRecord } from './types.ts'

/** Headers of a dead letter; times are epoch milliseconds, all values text. The record's own headers stand beside them. */
export const deadLetterHeaders = {
  topic: 'x-shunt-topic',
  partition: 'x-shunt-partition',
  offset: 'x-shunt-offset',
  /** Of the record, not of its death. */
  timestampMs: 'x-shunt-timestamp',
  code: 'x-shunt-code',
  message: 'x-shunt-message',
  atMs: 'x-shunt-time',
  /** From 1; absent where the value is whole. */
  part: 'x-shunt-part',
  parts: 'x-shunt-parts',
  /** `true` where the record had no key: the dead letter's key is then its origin. */
  keyless: 'x-shunt-keyless',
  /** `true` where the value was null, which is not the same as empty. */
  tombstone: 'x-shunt-tombstone',
  /** Names of the record's own headers that were too large to carry. */
  dropped: 'x-shunt-headers-dropped',
} as const

/** Below agent.deadletter's max.message.bytes of 4 MiB even where gzip makes nothing smaller. */
const maxPartBytes = 3.5 * 1024 * 1024
/** A record's own headers, all together; larger ones are named and left out. */
const maxOwnHeaderBytes = 64 * 1024
const maxMessageChars = 500

/**
 * The record with its bytes untouched, for agent.deadletter (`options.topic`, with its namespace): compressed, and in
 * numbered parts where the value is above 3.5 MiB. All parts have one key, so they lie in one partition, in order.
 */
export function deadLetters(
  record: InboundRecord,
  error: unknown,
  options: { topic: string; nowMs: number },
): OutboundRecord[] {
  const key = record.key ?? Buffer.from(`${record.topic}/${record.partition}/${record.offset}`)
  const headers = {
    ...ownHeaders(record),
    [deadLetterHeaders.topic]: record.topic,
    [deadLetterHeaders.partition]: String(record.partition),
    [deadLetterHeaders.offset]: String(record.offset),
    [deadLetterHeaders.timestampMs]: String(record.timestampMs),
    [deadLetterHeaders.code]: errorCodeOf(error),
    [deadLetterHeaders.message]: messageOf(error).slice(0, maxMessageChars),
    [deadLetterHeaders.atMs]: String(options.nowMs),
    ...(record.key === null ? { [deadLetterHeaders.keyless]: 'true' } : {}),
    ...(record.value === null ? { [deadLetterHeaders.tombstone]: 'true' } : {}),
  }
  const value = record.value ?? Buffer.alloc(0)
  const letter = { topic: options.topic, key, compress: true }
  // The key counts in every part; no topic takes one that leaves no room.
  const partBytes = Math.max(64 * 1024, maxPartBytes - key.length - headerBytes(headers))
  const parts = Math.ceil(value.length / partBytes)
  if (parts <= 1) return [{ ...letter, value, headers }]
  return Array.from({ length: parts }, (_, index) => ({
    ...letter,
    value: value.subarray(index * partBytes, (index + 1) * partBytes),
    headers: { ...headers, [deadLetterHeaders.part]: String(index + 1), [deadLetterHeaders.parts]: String(parts) },
  }))
}

function ownHeaders(record: InboundRecord): Record<string, string | Buffer> {
  const kept: Record<string, string | Buffer> = {}
  const dropped: string[] = []
  let bytes = 0
  for (const [name, value] of Object.entries(record.headers)) {
    if (value === undefined) continue
    bytes += name.length + value.length
    if (bytes > maxOwnHeaderBytes) dropped.push(name.slice(0, 100))
    else kept[name] = value
  }
  return dropped.length === 0 ? kept : { ...kept, [deadLetterHeaders.dropped]: dropped.slice(0, 50).join(',') }
}
