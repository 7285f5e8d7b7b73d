import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hashText } from '#lib/replay/diff/hash-text'
import { createTaskJoin } from '#lib/replay/diff/task-join'

let dir: string
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'shunt-join-test-'))))
afterEach(() => rmSync(dir, { recursive: true, force: true }))

interface Row {
  task: number
  step: number
  size: number
}
const anyRows = fc.array(fc.record({ task: fc.nat(40), step: fc.nat(5), size: fc.nat(300) }), { maxLength: 300 })

/** Each row's body tells whose it is and which. */
function fill(rows: readonly Row[], options: { maxPartitionBytes?: number; blockBytes?: number }) {
  const made = createTaskJoin({ dir, ...options })
  for (const [i, { task, step, size }] of rows.entries()) {
    const body = Buffer.from(`${task}/${step}/${i}/${'x'.repeat(size)}`)
    made.append(hashText(`t${task}`), hashText(`s${step}`), { tag: 'd', partition: i % 7, offset: i * 2 ** 33, body })
  }
  return made
}

const namesOf = (rows: readonly { body: Buffer }[]) => rows.map(({ body }) => body.toString().split('/').slice(0, 3))

describe('the join of a task’s rows', () => {
  test('gives every row once, all of a task together and in the order in which they came', () =>
    fc.assert(
      fc.property(anyRows, fc.constantFrom(32, 512, 65_536), (rows, blockBytes) => {
        using made = fill(rows, { blockBytes })
        for (let reading = 0; reading < 2; reading++) {
          const groups = [...made.groups()]
          expect(groups.every(({ whole }) => whole)).toBe(true)
          const found = groups.map(({ rows: group }) => namesOf(group))
          expect(new Set(found.map(([first]) => first![0])).size).toBe(found.length)
          for (const group of found) expect(new Set(group.map(([task]) => task)).size).toBe(1)
          const indices = found.map((group) => group.map(([, , i]) => Number(i)))
          for (const group of indices) expect(group).toEqual(group.toSorted((a, b) => a - b))
          expect(indices.flat().toSorted((a, b) => a - b)).toEqual(rows.map((_, i) => i))
          for (const { rows: group } of groups)
            for (const { partition, offset, tag } of group)
              expect([partition, tag]).toEqual([(offset / 2 ** 33) % 7, 'd'])
        }
      }),
      { numRuns: 40 },
    ))

  test('a task that is too large comes in parts, each with whole steps', () => {
    const rows = Array.from({ length: 2_000 }, (_, i) => ({ task: i % 50 === 0 ? 1 : 0, step: i % 100, size: 50 }))
    using made = fill(rows, { maxPartitionBytes: 10_000, blockBytes: 1_024 })
    const groups = [...made.groups()]
    const ofLarge = groups.filter(({ rows: group }) => namesOf(group).some(([task]) => task === '0'))
    expect(ofLarge.length).toBeGreaterThan(10)
    expect(ofLarge.every(({ whole }) => !whole)).toBe(true)
    const steps = ofLarge.flatMap(({ rows: group }) => [...new Set(namesOf(group).map(([, step]) => step))])
    expect(new Set(steps).size).toBe(steps.length)
    expect(groups.flatMap(({ rows: group }) => group)).toHaveLength(2_000)
  })

  test('rows may be added between two readings', () => {
    using made = fill([{ task: 1, step: 1, size: 1 }], {})
    expect([...made.groups()]).toHaveLength(1)
    made.append(hashText('t1'), hashText('s1'), { tag: 's', partition: 0, offset: 0, body: Buffer.from('new') })
    expect([...made.groups()].map(({ rows }) => rows.length)).toEqual([2])
  })

  test('leaves no file behind', () => {
    {
      using made = fill(
        Array.from({ length: 500 }, (_, i) => ({ task: i % 3, step: i, size: 100 })),
        { maxPartitionBytes: 1_000, blockBytes: 64 },
      )
      expect([...made.groups()].length).toBeGreaterThan(3)
      expect(readdirSync(dir).length).toBeGreaterThan(0)
    }
    expect(readdirSync(dir)).toEqual([])
  })
})
