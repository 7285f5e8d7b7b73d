import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describeError, type Logger } from '#lib/telemetry/logger'

/** Between the request and the answer, ms. */
const timeoutMs = 5_000
const apiVersionsKey = 18
/** A broker tells no release, but what requests it knows: version 5 of this one came with 4.3.0. */
const describeLogDirsKey = 35
const describeLogDirsOf43 = 5

/**
 * Warns of a broker of Kafka 4.3 or later: those lose committed transactions when they are killed (docs/adr/0006), and
 * with them that a step has one result. Asks the first broker that answers; where none does, nothing is said.
 *
 * The request is written by hand, since kafkajs keeps the answer to itself.
 */
export async function warnOfLossyBroker(
  log: Pick<Logger, 'warn' | 'debug'>,
  brokers: readonly string[],
): Promise<void> {
  for (const broker of brokers)
    try {
      const versions = await latestVersions(broker)
      if ((versions.get(describeLogDirsKey) ?? 0) >= describeLogDirsOf43)
        log.warn(
          { broker },
          'Kafka 4.3 or later may lose committed transactions when it is killed: see deploy/kafka.md',
        )
      return
    } catch (error) {
      log.debug({ broker, err: describeError(error) }, 'cannot tell the release of Kafka')
    }
}

/** The latest version of each request that the broker knows, by the request's key. */
async function latestVersions(broker: string): Promise<Map<number, number>> {
  const cut = broker.lastIndexOf(':')
  const socket = connect({ host: broker.slice(0, cut), port: Number(broker.slice(cut + 1)) })
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer')))
  try {
    await once(socket, 'connect')
    // Size, key, version 0, correlation id, and no client id.
    const request = Buffer.alloc(14)
    request.writeInt32BE(10, 0)
    request.writeInt16BE(apiVersionsKey, 4)
    request.writeInt16BE(-1, 12)
    socket.write(request)
    return readVersions(await readFrame(socket))
  } finally {
    socket.destroy()
  }
}

async function readFrame(socket: Socket): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    if (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) return bytes.subarray(4)
  }
  throw new Error('the broker hung up')
}

/** ApiVersionsResponse v0: correlation id, error code, then key, least and latest version of each request. */
function readVersions(frame: Buffer): Map<number, number> {
  const versions = new Map<number, number>()
  const count = frame.readInt32BE(6)
  for (let i = 0, at = 10; i < count; i++, at += 6) versions.set(frame.readInt16BE(at), frame.readInt16BE(at + 4))
  return versions
}
