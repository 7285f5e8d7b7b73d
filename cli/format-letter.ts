import { isUtf8 } from 'node:buffer'
import { formatOrigin } from '#lib/audit/records'
import type { DeadLetter } from '#lib/dead-letters/dead-letter'
import type { DecodedLetter } from '#lib/dead-letters/decode-letter'
import { letterName } from '#lib/dead-letters/letter-id'
import type { ControlOrder } from '#lib/events/types.generated'
import { formatTime, plural, printable } from './output.ts'

/** Bytes of a value that nobody can read, as far as they are shown. */
const maxDumpBytes = 1_024

/** A letter for a person: where from, why, its headers, its value as far as it can be read. */
export function formatLetter(letter: DeadLetter, decoded: DecodedLetter, requeued: ControlOrder | undefined): string[] {
  const { origin, code, message, atMs, key, value, parts, headers, droppedHeaders } = letter
  const bytes = `${plural(value?.length ?? 0, 'byte')}${parts > 1 ? ` in ${parts} parts` : ''}`
  return [
    `dead letter ${letterName(letter)}`,
    `record      ${formatOrigin(origin)}, written ${formatTime(origin.timestampMs)}`,
    `given up    ${formatTime(atMs)}`,
    `code        ${code}`,
    `message     ${message}`,
    `key         ${key === null ? 'none' : textOrHex(key)}`,
    ...Object.entries(headers).map(([name, each]) => `header      ${name}: ${textOrHex(each)}`),
    ...(droppedHeaders.length > 0
      ? [`lost        headers that were too large to keep: ${droppedHeaders.join(', ')}`]
      : []),
    ...(requeued ? [`requeued    ${formatTime(requeued.atMs)} by ${requeued.actor}: ${requeued.reason}`] : []),
    `value       ${value === null ? 'none (a tombstone)' : bytes}`,
    ...('problem' in decoded ? [`unreadable  ${decoded.problem.code}: ${decoded.problem.message}`] : []),
    ...(value === null ? [] : ['', ...valueLines(value, decoded)]),
  ].map(printable)
}

/** For programs: what can be decoded as JSON, what cannot as base64. */
export function letterJson(letter: DeadLetter, decoded: DecodedLetter): Record<string, unknown> {
  const { value, headers, key, ...rest } = letter
  return {
    id: letterName(letter),
    ...rest,
    key: key === null ? null : textOrHex(key),
    headers: Object.fromEntries(Object.entries(headers).map(([name, each]) => [name, textOrHex(each)])),
    ...('value' in decoded ? { value: decoded.value } : { problem: decoded.problem.message }),
    ...('problem' in decoded && { bytes: value?.toString('base64') ?? null }),
  }
}

function valueLines(value: Buffer, decoded: DecodedLetter): string[] {
  if ('value' in decoded) return JSON.stringify(withRequest(decoded.value), null, 2).split('\n')
  const shown = value.subarray(0, maxDumpBytes)
  const rest = value.length - shown.length
  return [
    ...(isUtf8(value) ? value.toString().slice(0, maxDumpBytes).split('\n') : hexLines(shown)),
    ...(rest > 0 ? [`… ${plural(rest, 'byte')} more: --raw writes them all`] : []),
  ]
}

/** A request is JSON text within the step; a person wants to read it. */
function withRequest(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => {
      if (name === 'step') return [name, withRequest(each)]
      return [name, name === 'request' && typeof each === 'string' ? jsonOrText(each) : each]
    }),
  )
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function hexLines(bytes: Buffer): string[] {
  return Array.from({ length: Math.ceil(bytes.length / 16) }, (_, row) => {
    const line = bytes.subarray(row * 16, row * 16 + 16)
    const hex = line.toString('hex').replaceAll(/../g, '$& ').trimEnd()
    return `${(row * 16).toString(16).padStart(6, '0')}  ${hex.padEnd(47)}  ${line.toString('latin1').replaceAll(/[^ -~]/g, '.')}`
  })
}

export function textOrHex(bytes: Buffer | string): string {
  if (typeof bytes === 'string') return bytes
  return isUtf8(bytes) ? bytes.toString() : `0x${bytes.toString('hex')}`
}
