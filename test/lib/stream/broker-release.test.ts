import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { warnOfLossyBroker } from '#lib/stream/broker-release'

/** Answers ApiVersions v0 as a broker whose DescribeLogDirs goes up to `latest`, in two pieces. */
async function startBroker(latest: number): Promise<string> {
  const answer = Buffer.alloc(4 + 10 + 12)
  answer.writeInt32BE(answer.length - 4, 0)
  answer.writeInt32BE(2, 10)
  for (const [i, value] of [18, 0, 4, 35, 1, latest].entries()) answer.writeInt16BE(value, 14 + 2 * i)
  const server = createServer((socket) => {
    socket.once('data', (request: Buffer) => {
      expect(request.toString('hex')).toBe('0000000a0012000000000000ffff')
      socket.write(answer.subarray(0, 9))
      setImmediate(() => socket.write(answer.subarray(9)))
    })
  })
  onTestFinished(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function watched() {
  return { warn: vi.fn<() => void>(), debug: vi.fn<() => void>() }
}

test('a broker of 4.3 or later is warned of, one of 4.2 is not', async () => {
  const log = watched()
  await warnOfLossyBroker(log, [await startBroker(4)])
  expect(log.warn).not.toHaveBeenCalled()
  const broker = await startBroker(5)
  await warnOfLossyBroker(log, [broker])
  expect(log.warn).toHaveBeenCalledExactlyOnceWith({ broker }, expect.stringContaining('deploy/kafka.md'))
})

test('of several the first that answers is asked; where none does, nothing is said', async () => {
  const log = watched()
  await warnOfLossyBroker(log, ['127.0.0.1:1', await startBroker(5)])
  expect(log.warn).toHaveBeenCalledOnce()
  await warnOfLossyBroker(log, ['127.0.0.1:1'])
  expect(log.warn).toHaveBeenCalledOnce()
})
