import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { acquireLock } from '../../scripts/lock.mjs'

test('a second one waits until the first has released it', async () => {
  const name = randomUUID()
  const order: string[] = []
  const first = await acquireLock(name)
  const waits = Promise.withResolvers<void>()
  const second = acquireLock(name, waits.resolve).then((lock) => {
    order.push('has it')
    return lock
  })
  await waits.promise
  order.push('first releases')
  await first.release()
  await (await second).release()
  expect(order).toEqual(['first releases', 'has it'])
})

test('of many at once one holds it at a time', async () => {
  const name = randomUUID()
  let holders = 0
  let most = 0
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const lock = await acquireLock(name)
      most = Math.max(most, ++holders)
      await new Promise((resolve) => setImmediate(resolve))
      holders -= 1
      await lock.release()
    }),
  )
  expect(most).toBe(1)
})

test('two names are two locks', async () => {
  const onWait = vi.fn<() => void>()
  const locks = [await acquireLock(randomUUID(), onWait), await acquireLock(randomUUID(), onWait)]
  expect(onWait).not.toHaveBeenCalled()
  for (const lock of locks) await lock.release()
})

/** A process that has the lock, and what its kill leaves behind. */
async function startHolder(name: string) {
  const script = `
    import { acquireLock } from '${join(import.meta.dirname, '../../scripts/lock.mjs')}'
    await acquireLock('${name}')
    console.log('held')
    setInterval(() => {}, 60_000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

test('a holder that is killed holds it no longer', async () => {
  const name = randomUUID()
  const child = await startHolder(name)
  const waiting = acquireLock(name)
  child.kill('SIGKILL')
  const lock = await waiting
  expect(lock).toBeDefined()
  await lock.release()
})

test('of many that find a killed holder one holds it at a time', async () => {
  const name = randomUUID()
  const child = await startHolder(name)
  let holders = 0
  let most = 0
  const waiting = Array.from({ length: 16 }, async () => {
    const lock = await acquireLock(name)
    most = Math.max(most, ++holders)
    await new Promise((resolve) => setTimeout(resolve, 5))
    holders -= 1
    await lock.release()
  })
  child.kill('SIGKILL')
  await Promise.all(waiting)
  expect(most).toBe(1)
})
