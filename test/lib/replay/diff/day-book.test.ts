import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDayBook } from '#lib/replay/diff/day-book'

const dayMs = 86_400_000
const slotMs = 300_000

test('tells what a tenant spent on the same UTC day before the slot of five minutes', () => {
  const anyEntry = fc.record({
    tenantId: fc.constantFrom('a', 'b', '1 a'),
    atMs: fc.integer({ min: -2 * dayMs, max: 2 * dayMs }),
    recorded: fc.nat(1_000),
    next: fc.nat(1_000),
  })
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 50 }), anyEntry, (entries, { tenantId, atMs }) => {
      const book = createDayBook()
      for (const { tenantId: tenant, atMs: at, ...spent } of entries) book.add(tenant, at, spent)
      const slot = Math.floor(atMs / slotMs)
      const before = entries.filter(
        (entry) =>
          entry.tenantId === tenantId &&
          Math.floor(entry.atMs / dayMs) === Math.floor(atMs / dayMs) &&
          Math.floor(entry.atMs / slotMs) < slot,
      )
      const sum = (of: 'recorded' | 'next') => before.reduce((total, entry) => total + entry[of], 0)
      expect(book.close().before(tenantId, atMs)).toEqual({ recorded: sum('recorded'), next: sum('next') })
    }),
  )
})

test('days beyond what memory has room for are counted, and the others told', () => {
  const book = createDayBook()
  const once = { recorded: 1, next: 2 }
  for (let i = 0; i < 10_005; i++) for (const atMs of [0, dayMs - 1]) book.add(`t-${i}`, atMs, once)
  const closed = book.close()
  expect(closed.dropped).toBe(5)
  expect(closed.before('t-9999', dayMs - 1)).toEqual(once)
  expect(closed.before('t-10004', dayMs - 1)).toEqual({ recorded: 0, next: 0 })
})
