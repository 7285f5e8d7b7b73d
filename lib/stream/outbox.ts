import { ShuntError } from '#lib/errors'
import { recordBytes } from './transaction.ts'
import type { Journal, OutboundRecord } from './types.ts'
import type { WorkItem } from './work-queue.ts'

/** Of one transaction: keeps it far below the broker's time-out. */
const maxTakeRecords = 5_000
const maxTakeBytes = 8 * 1024 * 1024

/** Finished work of a lane that waits for the next transaction. */
export interface Outbox {
  push(item: WorkItem): void
  /** What the next transaction takes; the caller puts it back when the transaction fails. */
  take(): WorkItem[]
  putBack(items: readonly WorkItem[]): void
  /** From now on these are taken one by one: one of them cannot be written. */
  isolate(items: readonly WorkItem[]): void
  remove(gone: (item: WorkItem) => boolean): void
  size(): number
  /** There is enough for a whole transaction. */
  isFull(): boolean
}

export function createOutbox(): Outbox {
  let items: WorkItem[] = []
  let bytes = 0
  const isolated = new Set<WorkItem>()

  return {
    push(item) {
      items.push(item)
      bytes += item.bytes
    },
    take() {
      const alone = items.find((item) => isolated.has(item))
      const taken: WorkItem[] = []
      let takenBytes = 0
      for (const item of alone ? [alone] : items) {
        if (taken.length > 0 && (taken.length >= maxTakeRecords || takenBytes + item.bytes > maxTakeBytes)) break
        taken.push(item)
        takenBytes += item.bytes
      }
      if (alone) isolated.delete(alone)
      items = alone ? items.filter((item) => item !== alone) : items.slice(taken.length)
      bytes -= takenBytes
      return taken
    },
    putBack(some) {
      items = [...some, ...items]
      bytes += bytesOf(some)
    },
    isolate(some) {
      for (const item of some) isolated.add(item)
    },
    remove(gone) {
      for (const item of items) if (gone(item)) isolated.delete(item)
      items = items.filter((item) => !gone(item))
      bytes = bytesOf(items)
    },
    size: () => items.length,
    isFull: () => items.length >= maxTakeRecords || bytes >= maxTakeBytes,
  }
}

function bytesOf(items: readonly WorkItem[]): number {
  return items.reduce((sum, item) => sum + item.bytes, 0)
}

/** The records of one transaction: all outputs, and the links of their audit drafts from `head` on. */
export function sealOutputs(
  journal: Journal | undefined,
  chainId: string,
  head: string | null,
  items: readonly WorkItem[],
): { records: OutboundRecord[]; head: string | null } {
  const records = items.flatMap((item) => item.handled?.records ?? [])
  const drafts = items.flatMap((item) => item.handled?.audit ?? [])
  if (drafts.length === 0) return { records, head }
  // Drafts that nobody links would be lost without a word.
  if (!journal) throw new Error('the stage was given no journal, and a handler returned audit drafts')
  const sealed = journal.seal(chainId, head, drafts)
  return { records: [...records, ...sealed.records], head: sealed.head }
}

/** Bytes that a finished item holds for what it led to. */
export function outputBytes(item: WorkItem): number {
  let bytes = 0
  for (const record of item.handled?.records ?? []) bytes += recordBytes(record)
  for (const draft of item.handled?.audit ?? []) bytes += draft.body.length
  return bytes
}

/** What handling led to is larger than it may be; `what` names it. */
export function tooLarge(what: string): ShuntError {
  return new ShuntError('SHUNT_EVENT_TOO_LARGE', `handling led to ${what}`)
}
