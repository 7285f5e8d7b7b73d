import { isObject } from '#lib/events/from-json'
import { parseJson } from '#lib/events/parse-json'
import { maxStepBytes } from '#lib/events/topics'
import { ShuntError } from '#lib/errors'
import { readLines } from './read-lines.ts'

export type ReadObject<T> = { number: number; value: T } | { number: number; problem: ShuntError }

/** JSON escapes can make a line up to six times as long as what it holds. */
const maxLineBytes = 6 * maxStepBytes

/**
 * Each object of a JSONL stream through `read`. A bad line comes out as its problem, never as an exception; empty lines
 * are passed over. Problems never quote a line's text.
 */
export async function* readObjects<T>(
  bytes: AsyncIterable<Uint8Array | string>,
  read: (value: Record<string, unknown>) => T,
): AsyncGenerator<ReadObject<T>> {
  for await (const { number, text } of readLines(bytes, maxLineBytes)) {
    if (text === undefined)
      yield {
        number,
        problem: new ShuntError('SHUNT_EVENT_TOO_LARGE', `the line has more than ${maxLineBytes} bytes`),
      }
    else if (text.trim() !== '') yield readLine(number, text, read)
  }
}

function readLine<T>(number: number, text: string, read: (value: Record<string, unknown>) => T): ReadObject<T> {
  try {
    const value = parseJson(number === 1 ? text.replace(/^\uFEFF/, '') : text, 'the line')
    if (!isObject(value)) throw new ShuntError('SHUNT_EVENT_INVALID', 'the line must be a JSON object')
    return { number, value: read(value) }
  } catch (error) {
    if (error instanceof ShuntError) return { number, problem: error }
    throw error
  }
}
