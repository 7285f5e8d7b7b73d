import type { Spent } from './shift-budget.ts'

const dayMs = 86_400_000
/** How fine time is told within a day. */
const slotMs = 300_000
const slots = dayMs / slotMs
/** Most tenant-days in memory, 4.7 kB each. */
const maxDays = 10_000

/** By slot: what was spent in it, and from when the book is closed, what was spent before it. */
interface Page {
  recorded: Float64Array
  next: Float64Array
}

/**
 * Money of tenants by UTC day, in slots of five minutes: tasks are worked on one after another, and a day's money runs
 * across them. It is filled by a first pass, in which no day's cap is shifted, then closed, and read by the second one.
 */
export interface DayBook {
  add(tenantId: string, atMs: number, spent: Spent): void
  /** Nothing can be added any more. */
  close(): ClosedDayBook
}

export interface ClosedDayBook {
  /** What was spent on the day of `atMs` before its slot. */
  before(tenantId: string, atMs: number): Spent
  /** Days that were left out, since there were too many. */
  dropped: number
}

export function createDayBook(): DayBook {
  const pages = new Map<string, Page>()
  const dropped = new Set<string>()

  return {
    add(tenantId, atMs, { recorded, next }) {
      const name = nameOf(tenantId, atMs)
      let page = pages.get(name)
      if (!page) {
        if (pages.size >= maxDays) {
          if (dropped.size < maxDays) dropped.add(name)
          return
        }
        page = { recorded: new Float64Array(slots), next: new Float64Array(slots) }
        pages.set(name, page)
      }
      const slot = slotOf(atMs)
      page.recorded[slot]! += recorded
      page.next[slot]! += next
    },

    close() {
      for (const { recorded, next } of pages.values()) for (const sums of [recorded, next]) sumUp(sums)
      return {
        before(tenantId, atMs) {
          const page = pages.get(nameOf(tenantId, atMs))
          if (!page) return nothingSpent
          const slot = slotOf(atMs)
          return { recorded: page.recorded[slot]!, next: page.next[slot]! }
        },
        dropped: dropped.size,
      }
    },
  }
}

export const nothingSpent: Spent = { recorded: 0, next: 0 }

function nameOf(tenantId: string, atMs: number): string {
  return `${Math.floor(atMs / dayMs)} ${tenantId}`
}

function slotOf(atMs: number): number {
  return Math.floor((atMs - Math.floor(atMs / dayMs) * dayMs) / slotMs)
}

/** Each number becomes the sum of those before it, in place. */
function sumUp(numbers: Float64Array): void {
  let sum = 0
  for (const [index, number] of numbers.entries()) {
    numbers[index] = sum
    sum += number
  }
}
