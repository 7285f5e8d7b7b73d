import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createOffsetTracker } from '#lib/stream/offset-tracker'
import { decodeProgress, encodeProgress } from '#lib/stream/progress-codec'
import type { Handled, InboundRecord } from '#lib/stream/types'
import { createWorkItem, createWorkQueue, type WorkItem } from '#lib/stream/work-queue'

const nothing: Handled = { records: [] }
const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve))

interface Scene {
  /** Of each record of the log, its fair key; null for an offset without a record. */
  keys: (string | null)[]
  slots: number
  maxHeld: number
  /** Of the varints of a commit's metadata. */
  maxBytes: number
  actions: { type: 'fetch' | 'finish' | 'commit' | 'crash'; pick: number }[]
}

/** A lane without Kafka: tracker and work queue as the lane couples them, over a log that a test made up. */
function laneOver({ keys, slots, maxHeld, maxBytes }: Scene) {
  let committed = { low: 0, metadata: encodeProgress({ low: 0, upTo: 0, incomplete: [], head: null }) }
  const done = new Set<number>()
  const starts: string[] = []
  let life = open()

  function open() {
    const tracker = createOffsetTracker()
    tracker.restore(decodeProgress(committed.low, committed.metadata), 0)
    const running = new Map<number, () => void>()
    const finished = new Set<number>()
    const held = new Map<number, WorkItem>()
    const waiting = new Map<string, number[]>()
    const turns = new Map<string, number>()
    const queue = createWorkQueue(
      {
        handle: (record) => new Promise((resolve) => running.set(record.offset, () => resolve(nothing))),
        reject: () => Promise.resolve(nothing),
        released: () => {},
        finished: (item) => finished.add(item.record.offset),
        due: () => {},
        admit: (offset) => {
          if (!tracker.hasRoom(offset, maxBytes)) return false
          tracker.start(offset)
          return true
        },
        alone: { before: () => Promise.resolve(), ended: () => {} },
        retried: () => {},
        rejected: () => {},
        nowMs: () => 0,
        log: { warn() {}, error() {} },
      },
      { fairKey: ({ key }) => String(key) },
    )
    return { tracker, queue, running, finished, held, waiting, turns }
  }

  function start(): void {
    const { queue, running, waiting, turns } = life
    for (;;) {
      if (running.size >= slots) return
      const before = new Set(running.keys())
      if (!queue.startNext(false)) return
      const [offset] = [...running.keys()].filter((each) => !before.has(each)) as [number]
      const key = keys[offset]!
      // Its own key's lowest, started once in this life and never after it was committed.
      expect(waiting.get(key)?.[0]).toBe(offset)
      expect(done.has(offset)).toBe(false)
      starts.push(key)
      waiting.get(key)!.shift()
      for (const [other, offsets] of waiting) if (offsets.length === 0) waiting.delete(other)
      for (const other of waiting.keys()) turns.set(other, other === key ? 0 : (turns.get(other) ?? 0) + 1)
      for (const other of turns.keys()) if (!waiting.has(other)) turns.delete(other)
    }
  }

  function fetch(size: number): void {
    const { tracker, queue, held, waiting } = life
    const from = tracker.position()
    const last = Math.min(keys.length - 1, from + size)
    if (held.size >= maxHeld || from > last) return
    const offsets = Array.from({ length: last - from + 1 }, (_, i) => from + i).filter(
      (offset) => keys[offset] !== null,
    )
    for (const offset of tracker.receive(from, last, offsets)) {
      const key = keys[offset]!
      const record: InboundRecord = {
        topic: 't',
        partition: 0,
        offset,
        key: Buffer.from(key),
        value: null,
        headers: {},
        timestampMs: 0,
      }
      const item = createWorkItem(record, 1)
      held.set(offset, item)
      waiting.set(
        key,
        [...(waiting.get(key) ?? []), offset].toSorted((a, b) => a - b),
      )
      queue.add(item)
    }
  }

  async function finish(pick: number): Promise<void> {
    const { running } = life
    if (running.size === 0) return
    const [offset, resolve] = [...running][pick % running.size]!
    resolve()
    await turnOfTheLoop()
    running.delete(offset)
  }

  function commit(): void {
    const { tracker, finished, held } = life
    const progress = tracker.progress(finished)
    committed = { low: progress.low, metadata: encodeProgress({ ...progress, head: null }) }
    const bytes = Buffer.from(committed.metadata.split(' ')[1]!, 'base64').length
    expect(bytes).toBeLessThanOrEqual(Math.max(maxBytes, 9))
    for (const offset of finished) {
      done.add(offset)
      held.delete(offset)
    }
    tracker.settle(finished)
    finished.clear()
  }

  return {
    starts,
    done,
    /** Most starts of others that a key which waits has seen since its own last. */
    longestWait: () => Math.max(0, ...life.turns.values()),
    async act({ type, pick }: Scene['actions'][number]) {
      if (type === 'fetch') fetch(pick % 40)
      else if (type === 'finish') await finish(pick)
      else if (type === 'commit') commit()
      else {
        life.queue.stop()
        life = open()
      }
      start()
    },
    async untilDone(): Promise<void> {
      for (let round = 0; round < 10 * keys.length + 10; round++) {
        fetch(39)
        start()
        await finish(round)
        if (round % 3 === 0) commit()
      }
    },
  }
}

const key = fc.oneof(
  { weight: 8, arbitrary: fc.constant('burst') },
  { weight: 2, arbitrary: fc.constantFrom('a', 'b', 'c') },
  { weight: 1, arbitrary: fc.constant(null) },
)
const type = fc.constantFrom<Scene['actions'][number]['type'][]>(
  ...(['fetch', 'fetch', 'finish', 'finish', 'finish', 'commit', 'commit', 'crash'] as const),
)
const sceneWith = (maxBytes: fc.Arbitrary<number>) =>
  fc.record({
    keys: fc.array(key, { minLength: 1, maxLength: 120 }),
    slots: fc.integer({ min: 1, max: 8 }),
    maxHeld: fc.integer({ min: 1, max: 100 }),
    maxBytes,
    actions: fc.array(fc.record({ type, pick: fc.nat({ max: 10_000 }) }), { maxLength: 60 }),
  })

describe('a lane whose keys take turns', () => {
  test('loses no record, starts none twice, and keeps the order within a key, however little metadata holds', () =>
    fc.assert(
      fc.asyncProperty(sceneWith(fc.integer({ min: 10, max: 60 })), async (scene) => {
        const lane = laneOver(scene)
        for (const action of scene.actions) await lane.act(action)
        await lane.untilDone()
        const all = scene.keys.flatMap((each, offset) => (each === null ? [] : [offset]))
        expect([...lane.done].toSorted((a, b) => a - b)).toEqual(all)
      }),
      { numRuns: 100 },
    ))

  test('gives each of the k keys that wait a start at least every k starts, where metadata has room', () =>
    fc.assert(
      fc.asyncProperty(sceneWith(fc.constant(2_517)), async (scene) => {
        const lane = laneOver(scene)
        const kinds = new Set(scene.keys).size
        for (const action of scene.actions) {
          await lane.act(action)
          expect(lane.longestWait()).toBeLessThan(kinds)
        }
      }),
      { numRuns: 100 },
    ))

  test('a burst of a thousand records does not hold up the one record of another that is held', async () => {
    const keys = [...Array.from({ length: 1_000 }, () => 'burst'), 'quiet']
    const lane = laneOver({ keys, slots: 4, maxHeld: 2_048, maxBytes: 2_517, actions: [] })
    for (let i = 0; i < 26; i++) await lane.act({ type: 'fetch', pick: 39 })
    for (let i = 0; i < 4; i++) await lane.act({ type: 'finish', pick: 0 })
    expect(lane.starts.slice(0, 6)).toContain('quiet')
  })
})
