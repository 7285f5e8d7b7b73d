import type { Spent } from './shift-budget.ts'

const dayMs = 86_400_000
/** How fine time is told within a day. */
const slotMs = 300_000
const slots = dayMs / slotMs
/** Most tenant-days in memory, 4.6 kB each. */
const maxDays = 10_000

interface Page {
  recorded: Float64Array
  next: Float64Array
  /** Sums up to each slot, made when first asked for. */
  sums: Spent[] | null
}

/**
 * Money of tenants by UTC day, in slots of five minutes: tasks are worked on one after another, and a day's money runs
 * across them. It is filled by a first pass, in which no day's cap is shifted, and read by the second one.
 */
export interface DayBook {
  add(tenantId: string, atMs: number, spent: Spent): void
  /** What was spent on the day of `atMs` before its slot. */
  before(tenantId: string, atMs: number): Spent
  /** Days that were left out, since there were too many. */
  readonly dropped: number
}

export function createDayBook(): DayBook {
  const pages = new Map<string, Page>()
  const dropped = new Set<string>()
  const nameOf = (tenantId: string, atMs: number) => `${Math.floor(atMs / dayMs)} ${tenantId}`
  const slotOf = (atMs: number) => Math.floor((atMs - Math.floor(atMs / dayMs) * dayMs) / slotMs)

  return {
    add(tenantId, atMs, { recorded, next }) {
      const name = nameOf(tenantId, atMs)
      let page = pages.get(name)
      if (!page) {
        if (pages.size >= maxDays) {
          if (dropped.size < maxDays) dropped.add(name)
          return
        }
        page = { recorded: new Float64Array(slots), next: new Float64Array(slots), sums: null }
        pages.set(name, page)
      }
      const slot = slotOf(atMs)
      page.recorded[slot]! += recorded
      page.next[slot]! += next
      page.sums = null
    },

    before(tenantId, atMs) {
      const page = pages.get(nameOf(tenantId, atMs))
      if (!page) return nothingSpent
      page.sums ??= sumsOf(page)
      return page.sums[slotOf(atMs)]!
    },

    get dropped() {
      return dropped.size
    },
  }
}

export const nothingSpent: Spent = { recorded: 0, next: 0 }

function sumsOf({ recorded, next }: Page): Spent[] {
  const sum = { recorded: 0, next: 0 }
  return Array.from(recorded, (spent, slot) => {
    const before = { ...sum }
    sum.recorded += spent
    sum.next += next[slot]!
    return before
  })
}
