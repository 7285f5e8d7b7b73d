import { readLines } from '#lib/client/read-lines'
import { ShuntError } from '#lib/errors'
import type { ChatRequest } from '#lib/events/chat-request'
import { isObject } from '#lib/events/from-json'
import { parseJson } from '#lib/events/parse-json'
import { maxStepBytes } from '#lib/events/topics'
import type { StepKind } from '#lib/events/types.generated'
import { stepKinds } from '#lib/policy/schema'
import { gunzipped } from './gunzipped.ts'
import { readLabelRequest, type LabelRequest } from './label-request.ts'

export interface LabelledItem {
  id: string
  kind: StepKind
  request: ChatRequest
}

/** A step with which of two models answered it right. */
export interface LabelledStep extends LabelledItem {
  /** What the data set or the caller sorts it under; never read by a scorer. */
  group: string | null
  tenantId: string | null
  /** null: not labelled. One side at least is. */
  outcome: { oss: boolean | null; frontier: boolean | null }
  /** How sure the open model was of its answer: confidencePpm of the attempt. */
  ossConfidencePpm?: number
}

/** A line that was passed over, and why. The reason quotes nothing but an id. */
export interface BadLine {
  /** From 1. */
  number: number
  reason: string
}

export type Read<T> = { number: number; value: T } | { number: number; bad: string }

type Bytes = AsyncIterable<Uint8Array | string>

/** JSON escapes can make a line up to six times as long as what it holds. */
const maxLineBytes = 6 * maxStepBytes
const maxNamedId = 80

/**
 * Labels of a JSONL stream, plain or gzipped: `{id, kind, group?, tenant?, request, outcome{oss?, frontier?},
 * ossConfidencePpm?}`. A kind
 * that is none of Shunt's is read as unknown. Of lines with the same id the first counts: labels of one step given
 * twice would leak from training into evaluation.
 */
export async function* readLabels(bytes: Bytes): AsyncGenerator<Read<LabelledStep>> {
  const seen = new Map<string, number>()
  for await (const read of readValues(bytes, readLabel)) {
    if ('bad' in read) {
      yield read
      continue
    }
    const first = seen.get(read.value.id)
    if (first === undefined) {
      seen.set(read.value.id, read.number)
      yield read
    } else yield { number: read.number, bad: `id ${named(read.value.id)} is that of line ${first}` }
  }
}

/** Items to score, `{id, kind, request}`: group and outcome are not looked at. An id given twice is scored twice. */
export function readItems(bytes: Bytes): AsyncGenerator<Read<LabelledItem>> {
  return readValues(bytes, readItem)
}

/** Requests without outcomes: lines with at least `request`, as those of labels. */
export function readRequests(bytes: Bytes): AsyncGenerator<Read<LabelRequest>> {
  return readValues(bytes, (line) => readLabelRequest(line['request']))
}

/** All of them in memory, with the lines that were passed over. Throws SHUNT_LABELS_TOO_FEW where none is left. */
export async function collect<T>(lines: AsyncIterable<Read<T>>): Promise<{ values: T[]; bad: BadLine[] }> {
  const values: T[] = []
  const bad: BadLine[] = []
  for await (const line of lines) {
    if ('bad' in line) bad.push({ number: line.number, reason: line.bad })
    else values.push(line.value)
  }
  if (values.length === 0) {
    const [first] = bad
    const because = first ? `: line ${first.number}: ${first.reason}` : ''
    throw new ShuntError('SHUNT_LABELS_TOO_FEW', `no line can be used, of ${bad.length}${because}`)
  }
  return { values, bad }
}

/** Each line that is not empty through `read`, which gives the problem as text. */
async function* readValues<T extends object>(
  bytes: Bytes,
  read: (line: Record<string, unknown>) => T | string,
): AsyncGenerator<Read<T>> {
  for await (const { number, text } of readLines(gunzipped(bytes), maxLineBytes)) {
    if (text === undefined) yield { number, bad: `the line has more than ${maxLineBytes} bytes` }
    else if (text.trim() !== '') {
      const value = readLine(number === 1 ? text.replace(/^\uFEFF/, '') : text, read)
      yield typeof value === 'string' ? { number, bad: value } : { number, value }
    }
  }
}

function readLine<T extends object>(text: string, read: (line: Record<string, unknown>) => T | string): T | string {
  try {
    const line = parseJson(text, 'the line')
    return isObject(line) ? read(line) : 'the line must be a JSON object'
  } catch (error) {
    if (error instanceof ShuntError) return error.message
    throw error
  }
}

function readItem(line: Record<string, unknown>): LabelledItem | string {
  const id = typeof line['id'] === 'number' ? String(line['id']) : line['id']
  if (typeof id !== 'string' || id === '') return 'id must be a string of at least one character'
  const request = readLabelRequest(line['request'])
  if (typeof request === 'string') return request
  return { id, kind: stepKinds.find((kind) => kind === line['kind']) ?? 'unknown', request }
}

function readLabel(line: Record<string, unknown>): LabelledStep | string {
  const item = readItem(line)
  if (typeof item === 'string') return item
  const { outcome } = line
  if (!isObject(outcome)) return 'outcome must be an object'
  const oss = readOutcome(outcome['oss'])
  const frontier = readOutcome(outcome['frontier'])
  if (oss === undefined || frontier === undefined) return 'outcome.oss and outcome.frontier must be true, false, 1 or 0'
  if (oss === null && frontier === null) return 'outcome has neither oss nor frontier'
  const { ossConfidencePpm: confidence = null } = line
  if (confidence !== null && !isPpm(confidence)) return 'ossConfidencePpm must be a whole number from 0 to 1000000'
  return {
    ...item,
    ...(confidence !== null && { ossConfidencePpm: confidence }),
    group: textOrNull(line['group']),
    tenantId: textOrNull(line['tenant']),
    outcome: { oss, frontier },
  }
}

function readOutcome(value: unknown): boolean | null | undefined {
  if (value === undefined || value === null) return null
  if (value === true || value === 1) return true
  return value === false || value === 0 ? false : undefined
}

function isPpm(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 1_000_000
}

function textOrNull(value: unknown): string | null {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : null
}

function named(id: string): string {
  return id.length > maxNamedId ? `${id.slice(0, maxNamedId)}…` : id
}
