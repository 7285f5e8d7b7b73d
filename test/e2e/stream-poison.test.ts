import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { createPoisonMemory, type PoisonMemory } from '#lib/stream/poison'

const lane = 'group/topic/0'
let redis: Redis
let memory: PoisonMemory

beforeEach(() => {
  redis = new Redis(inject('stack').redisUrl)
  memory = createPoisonMemory(redis, { namespace: `poison-${randomUUID()}` })
})
afterEach(() => redis.disconnect())

describe('the memory of how lanes ended', () => {
  test('I7: a lane that is handed over in order between its deaths is found suspect, and its record counted', async () => {
    await memory.opened(lane, 'a1')
    // a1 dies. b has the lane until a is back.
    expect(await memory.opened(lane, 'b')).toEqual({ uncleanEnds: 1, deaths: new Map() })
    await memory.closed(lane, 'b', null)
    expect(await memory.opened(lane, 'a2')).toMatchObject({ uncleanEnds: 1 })
    // a2 dies; b handles record 5 alone when it gives the lane up again.
    expect(await memory.opened(lane, 'b')).toMatchObject({ uncleanEnds: 2 })
    await memory.marked(lane, 5)
    await memory.closed(lane, 'b', 5)
    for (const [death, owner] of ['a3', 'a4', 'a5'].entries()) {
      const { deaths } = await memory.opened(lane, owner)
      expect(deaths.get(5) ?? 0).toBe(death)
      await memory.marked(lane, 5)
      // Dies, and b comes and goes.
      expect((await memory.opened(lane, 'b')).deaths.get(5)).toBe(death + 1)
      await memory.closed(lane, 'b', null)
    }
  })

  test('an owner that closes after the next one has opened takes back the death that was counted', async () => {
    await memory.opened(lane, 'a')
    await memory.marked(lane, 5)
    expect(await memory.opened(lane, 'b')).toEqual({ uncleanEnds: 1, deaths: new Map([[5, 1]]) })
    await memory.closed(lane, 'a', 5)
    expect(await memory.opened(lane, 'b')).toEqual({ uncleanEnds: 0, deaths: new Map([[5, 0]]) })
  })

  test('progress forgives the lane, and the records that it left behind', async () => {
    for (const [offset, owner] of [
      [5, 'a'],
      [9, 'b'],
    ] as const) {
      await memory.opened(lane, owner)
      await memory.marked(lane, offset)
    }
    await memory.opened(lane, 'c')
    await memory.progressed(lane, 9)
    expect(await memory.opened(lane, 'c')).toEqual({ uncleanEnds: 0, deaths: new Map([[9, 1]]) })
  })
})
