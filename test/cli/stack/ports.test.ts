import { createServer } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { onFreePort } from '../../../cli/stack/on-free-port.ts'
import { freePort, isPortFree } from '../../../cli/stack/ports.ts'

async function occupy(): Promise<{ port: number; free: () => Promise<void> }> {
  const port = await freePort()
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { port, free: () => new Promise((resolve) => server.close(() => resolve())) }
}

test('a preferred port is taken when it is free, and another one when it is not', async () => {
  const preferred = await freePort()
  expect(await freePort(preferred)).toBe(preferred)

  const taken = await occupy()
  const other = await freePort(taken.port)
  expect(other).not.toBe(taken.port)
  expect(await isPortFree(other)).toBe(true)
  await taken.free()
})

test('a port that was asked for and is in use is an error that names it', async () => {
  const taken = await occupy()
  await expect(onFreePort('Redis', { port: taken.port }, async () => 'started')).rejects.toThrow(
    `Redis: port ${taken.port} is in use`,
  )
  await taken.free()
})

test('a port that is lost to another process during the start is replaced by the next', async () => {
  const lost: { port: number; free: () => Promise<void> }[] = []
  const started = await onFreePort('Kafka', {}, async (port) => {
    if (lost.length === 0) {
      const server = createServer().listen(port, '127.0.0.1')
      await once(server, 'listening')
      lost.push({ port, free: () => new Promise((resolve) => server.close(() => resolve())) })
      throw new Error('address already in use')
    }
    return port
  })
  expect(started).not.toBe(lost[0]?.port)
  await lost[0]?.free()
})

test('a start that fails for another reason fails at once', async () => {
  let starts = 0
  await expect(
    onFreePort('Kafka', {}, async () => {
      starts += 1
      throw new Error('no memory')
    }),
  ).rejects.toThrow('no memory')
  expect(starts).toBe(1)
})
