import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createStepJoin, type StepJoinOptions } from '#lib/audit/step-join'
import { taskKey, taskKeyBytes } from '#lib/replay/diff/task-row'

interface Row {
  task: number
  step: number
  size: number
}
const anyRows = fc.array(fc.record({ task: fc.nat(40), step: fc.nat(5), size: fc.nat(300) }), { maxLength: 300 })

/** Each row tells whose it is and which. */
function fill(rows: readonly Row[], options: StepJoinOptions = {}) {
  const joined = createStepJoin({ groupBytes: taskKeyBytes, ...options })
  for (const [i, { task, step, size }] of rows.entries())
    joined.append(
      taskKey({ taskId: `t${task}`, stepId: `s${step}` }),
      Buffer.from(`${task}/${step}/${i}/${'x'.repeat(size)}`),
    )
  return joined
}

const namesOf = (rows: readonly Buffer[]) => rows.map((row) => row.toString().split('/').slice(0, 3))

describe('rows that are grouped by the first bytes of their key', () => {
  test('come once, all of a group together and in order, at every reading', () =>
    fc.assert(
      fc.property(anyRows, (rows) => {
        using joined = fill(rows)
        for (let reading = 0; reading < 2; reading++) {
          const found = Array.from(joined.groups(), namesOf)
          expect(new Set(found.map(([first]) => first![0])).size).toBe(found.length)
          for (const group of found) expect(new Set(group.map(([task]) => task)).size).toBe(1)
          const indices = found.map((group) => group.map(([, , i]) => Number(i)))
          for (const group of indices) expect(group).toEqual(group.toSorted((a, b) => a - b))
          expect(indices.flat().toSorted((a, b) => a - b)).toEqual(rows.map((_, i) => i))
          expect(joined.parts).toBe(0)
        }
      }),
      { numRuns: 30 },
    ))

  test('come in parts where they are too many, none of which divides a key; again at a second reading', () => {
    const rows = Array.from({ length: 4_000 }, (_, i) => ({ task: i % 50 === 0 ? 1 : 0, step: i % 100, size: 50 }))
    using joined = fill(rows, { bucketBytes: 10_000 })
    for (let reading = 0; reading < 2; reading++) {
      const found = Array.from(joined.groups(), namesOf)
      const ofLarge = found.filter((group) => group.some(([task]) => task === '0'))
      expect(ofLarge.length).toBeGreaterThan(10)
      expect(joined.parts).toBe(ofLarge.length)
      const steps = ofLarge.flatMap((group) => [...new Set(group.map(([, step]) => step))])
      expect(new Set(steps).size).toBe(steps.length)
      expect(found.flat()).toHaveLength(4_000)
    }
  })

  test('may be added to between two readings, of what was spilled too', () => {
    using joined = fill(Array.from({ length: 1_000 }, () => ({ task: 1, step: 1, size: 100 })))
    expect(Array.from(joined.groups(), ({ length }) => length)).toEqual([1_000])
    joined.append(taskKey({ taskId: 't1', stepId: 's1' }), Buffer.from('new'))
    expect(Array.from(joined.groups(), ({ length }) => length)).toEqual([1_001])
  })

  test('a reading that is broken off leaves nothing that the next one would read twice', () => {
    const rows = Array.from({ length: 4_000 }, (_, i) => ({ task: 0, step: i % 100, size: 50 }))
    using joined = fill(rows, { bucketBytes: 10_000 })
    for (const _group of joined.groups()) break
    expect([...joined.groups()].flat()).toHaveLength(4_000)
  })
})
