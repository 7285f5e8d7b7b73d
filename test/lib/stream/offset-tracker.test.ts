import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createOffsetTracker, type OffsetTracker } from '#lib/stream/offset-tracker'
import { decodeProgress, encodeProgress, maxMetadataBytes, maxVarintBytes } from '#lib/stream/progress-codec'

function opened(low: number): OffsetTracker {
  const tracker = createOffsetTracker()
  tracker.restore({ low, upTo: low, incomplete: [] }, 0)
  return tracker
}

/** Receives and starts the offsets from the tracker's position to the last of them. */
function run(tracker: OffsetTracker, offsets: number[]): void {
  for (const offset of tracker.receive(tracker.position(), offsets.at(-1) ?? 0, offsets)) tracker.start(offset)
}

describe('offset tracker', () => {
  test('a record finished above a gap does not move the commit point', () => {
    const tracker = opened(10)
    run(tracker, [10, 11, 12])
    expect(tracker.progress(new Set([12]))).toEqual({ low: 10, upTo: 13, incomplete: [11] })
    tracker.settle([12])
    expect(tracker.low()).toBe(10)
  })

  test('holes in the log count as done', () => {
    const tracker = opened(0)
    run(tracker, [0, 5, 9])
    expect(tracker.progress(new Set([0, 5]))).toEqual({ low: 9, upTo: 10, incomplete: [] })
  })

  test('records that were received but not started are not named in a commit', () => {
    const tracker = opened(0)
    tracker.receive(0, 99, [0, 1, 2, 99])
    tracker.start(0)
    tracker.start(1)
    expect(tracker.progress(new Set([1]))).toEqual({ low: 0, upTo: 2, incomplete: [] })
  })

  test('everything done puts the commit point behind the last offset read, control records included', () => {
    const tracker = opened(3)
    tracker.receive(3, 8, [3, 4])
    tracker.start(3)
    tracker.start(4)
    expect(tracker.progress(new Set([3, 4]))).toEqual({ low: 9, upTo: 9, incomplete: [] })
  })

  test('after a restart only what was incomplete or never started is handed out', () => {
    const tracker = createOffsetTracker()
    tracker.restore({ low: 10, upTo: 20, incomplete: [13, 17] }, 0)
    expect(tracker.position()).toBe(10)
    expect(tracker.receive(10, 22, [10, 11, 12, 13, 14, 17, 19, 20, 22])).toEqual([10, 13, 17, 20, 22])
  })

  test('an awaited offset that compaction removed is waited for no longer', () => {
    const tracker = createOffsetTracker()
    tracker.restore({ low: 10, upTo: 20, incomplete: [13] }, 0)
    expect(tracker.receive(10, 19, [10, 19])).toEqual([10])
    expect(tracker.progress(new Set([10]))).toEqual({ low: 20, upTo: 20, incomplete: [] })
  })

  test('an awaited offset below the start of the log is gone', () => {
    const tracker = createOffsetTracker()
    tracker.restore({ low: 10, upTo: 20, incomplete: [13] }, 15)
    expect(tracker.position()).toBe(15)
    expect(tracker.low()).toBe(20)
  })

  test('opening anew keeps what is held, and tells what another owner has committed', () => {
    const tracker = opened(0)
    run(tracker, [0, 1, 2, 3])
    expect(tracker.restore({ low: 1, upTo: 4, incomplete: [3] }, 0)).toEqual([0, 2])
    expect([1, 3].every((offset) => tracker.isIncomplete(offset))).toBe(true)
    expect(tracker.position()).toBe(4)
  })

  test('a batch that was fetched again hands nothing out twice', () => {
    const tracker = opened(0)
    run(tracker, [0, 1, 2])
    tracker.settle([1])
    expect(tracker.receive(0, 3, [0, 1, 2, 3])).toEqual([3])
  })

  test('any order of finishing, commits, failures and restarts hands out each offset until it is committed, once done never again', () => {
    const action = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ type: fc.constant('fetch' as const), size: fc.integer({ min: 1, max: 9 }) }),
      },
      { weight: 4, arbitrary: fc.record({ type: fc.constant('finish' as const), pick: fc.nat() }) },
      { weight: 3, arbitrary: fc.record({ type: fc.constant('commit' as const), lost: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('reopen' as const) }) },
    )
    const holes = fc.uniqueArray(fc.integer({ min: 0, max: 80 }), { maxLength: 20 })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), holes, (actions, missing) => {
        const log = Array.from({ length: 80 }, (_, offset) => offset).filter((offset) => !missing.includes(offset))
        let committed = { low: 0, metadata: encodeProgress({ low: 0, upTo: 0, incomplete: [], head: null }) }
        const done = new Set<number>()
        const repeated: number[] = []
        let tracker = createOffsetTracker()
        let running: number[] = []
        let finished: number[] = []
        const open = () => {
          for (const offset of tracker.restore(decodeProgress(committed.low, committed.metadata), 0)) {
            running = running.filter((other) => other !== offset)
            finished = finished.filter((other) => other !== offset)
          }
        }
        open()
        for (const step of actions) {
          if (step.type === 'fetch') {
            const from = tracker.position()
            const last = Math.min(79, from + step.size)
            if (from > last) continue
            for (const offset of tracker.receive(
              from,
              last,
              log.filter((at) => at >= from && at <= last),
            )) {
              if (done.has(offset)) repeated.push(offset)
              tracker.start(offset)
              running.push(offset)
            }
          } else if (step.type === 'finish' && running.length > 0)
            finished.push(...running.splice(step.pick % running.length, 1))
          else if (step.type === 'commit' && finished.length > 0) {
            const progress = tracker.progress(new Set(finished))
            committed = { low: progress.low, metadata: encodeProgress({ ...progress, head: null }) }
            for (const offset of finished) {
              if (done.has(offset)) repeated.push(offset)
              done.add(offset)
            }
            // The broker has it; whether we were told decides how we go on.
            if (step.lost) open()
            else {
              tracker.settle(finished)
              finished = []
            }
          } else if (step.type === 'restart') {
            tracker = createOffsetTracker()
            running = []
            finished = []
            open()
          } else if (step.type === 'reopen') open()
        }
        expect(repeated).toEqual([])
        // Let everything end, and see that nothing is left out.
        tracker = createOffsetTracker()
        running = []
        finished = []
        open()
        const rest = tracker.receive(
          tracker.position(),
          79,
          log.filter((at) => at >= tracker.position()),
        )
        expect([...done, ...rest].toSorted((a, b) => a - b)).toEqual(log)
      }),
      { numRuns: 300 },
    )
  })

  test('as long as hasRoom says yes, the encoded progress stays within its bound', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 500, maxLength: 3_000 }),
        fc.integer({ min: 2, max: 7 }),
        (gaps, keepEvery) => {
          const tracker = opened(0)
          let offset = 0
          const started: number[] = []
          for (const gap of gaps) {
            offset += gap
            tracker.receive(tracker.position(), offset, [offset])
            if (!tracker.hasRoom(offset, maxVarintBytes)) break
            tracker.start(offset)
            started.push(offset)
            if (started.length % keepEvery !== 0) tracker.settle([offset])
          }
          const text = encodeProgress({ ...tracker.progress(new Set()), head: 'h'.repeat(140) })
          expect(text.length).toBeLessThanOrEqual(maxMetadataBytes)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('has room for at least a thousand records in flight', () => {
    const tracker = opened(0)
    let started = 0
    for (let offset = 0; offset < 5_000; offset++) {
      tracker.receive(offset, offset, [offset])
      if (!tracker.hasRoom(offset, maxVarintBytes)) break
      tracker.start(offset)
      started += 1
    }
    expect(started).toBeGreaterThan(1_000)
  })
})
