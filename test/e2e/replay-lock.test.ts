import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, expect, inject, test } from 'vitest'
import { lockReplay } from '../../cli/replay/replay-lock.ts'
import { waitUntil } from '../support/wait-until.ts'

const redis = new Redis(inject('stack').redisUrl)
afterAll(() => redis.disconnect())

const refused = expect.objectContaining({ code: 'SHUNT_REPLAY_REFUSED' }) as Error
const name = () => `test-${randomUUID().slice(0, 8)}.replay-x`
const keyOf = (namespace: string) => `${namespace}.replay:command`

test('one command at a time has a replay, and none a trace of it afterwards', async () => {
  const namespace = name()
  {
    await using _held = await lockReplay(redis, namespace)
    await expect(lockReplay(redis, namespace)).rejects.toThrow(refused)
    await using _other = await lockReplay(redis, `${namespace}-2`)
  }
  expect(await redis.keys(`${namespace}*`)).toEqual([])
  await using _again = await lockReplay(redis, namespace)
})

test('it is kept over an emptied Redis, and lost to another command alone', { timeout: 30_000 }, async () => {
  const namespace = name()
  await using held = await lockReplay(redis, namespace)
  await redis.del(keyOf(namespace))
  await waitUntil(async () => (await redis.exists(keyOf(namespace))) === 1, 'the lock to be taken again', 15_000)
  expect(held.lost.aborted).toBe(false)

  await redis.set(keyOf(namespace), 'another')
  await waitUntil(() => held.lost.aborted, 'the loss to be seen', 15_000)
  expect(held.lost.reason).toEqual(refused)
  await held[Symbol.asyncDispose]()
  expect(await redis.get(keyOf(namespace))).toBe('another')
  await redis.del(keyOf(namespace))
})
