import type { Type } from 'avsc'
import type { Logger } from 'pino'
import { ShuntError } from '#lib/errors'
import { boundsOf, stringFieldReader } from './avro-bounds.ts'
import { avroType, schemaText } from './avro-type.ts'
import { createRegistry, type Registry } from './registry.ts'
import { readSchema } from './schemas.ts'
import { subjectsIn, type EventName } from './subjects.ts'
import type { EventTypes } from './types.generated.ts'

/** Confluent's wire format: this byte, the schema's id as a big-endian uint32, Avro. */
const magicByte = 0
const headerBytes = 5

/** How long an id that gave no usable schema is not asked for again: it may be registered later. */
const unusableTtlMs = 60_000
const maxUnusable = 1_000

export interface Codec {
  /**
   * Confluent-framed Avro. Throws SHUNT_EVENT_INVALID with the path of what does not fit, never with its value:
   * that may be prompt text.
   */
  encode<N extends EventName>(name: N, value: EventTypes[N]): Buffer
  /**
   * Throws SHUNT_EVENT_UNDECODABLE for bytes that will never be a value of the schema, and SHUNT_REGISTRY_UNAVAILABLE
   * (retryable) where the registry could not be asked. A value of an older or newer schema comes out as one of ours.
   */
  decode<N extends EventName>(name: N, bytes: Buffer | null): Promise<EventTypes[N]>
  /**
   * As `decode`, without waiting: for who reads by the million. Undefined where no value of the writer's schema was
   * decoded yet, or the registry had none.
   */
  decodeNow<N extends EventName>(name: N, bytes: Buffer | null): EventTypes[N] | undefined
  /**
   * A string or enum field of a value, without the rest of it and without waiting; null where the bytes hold none, or are of a
   * schema that no value was decoded of yet.
   */
  peekString<N extends EventName>(name: N, field: keyof EventTypes[N] & string, bytes: Buffer): string | null
}

export interface CodecOptions {
  registryUrl: string
  namespace: string
  log: Pick<Logger, 'warn'>
}

/** Throws SHUNT_SETUP_FAILED where a schema is not registered, SHUNT_REGISTRY_UNAVAILABLE (retryable). */
export function createCodec(options: CodecOptions): Promise<Codec> {
  return createCodecOver({ registry: createRegistry(options.registryUrl), log: options.log, nowMs: Date.now }, options)
}

export interface CodecDeps {
  registry: Pick<Registry, 'idOf' | 'schemaById'>
  log: Pick<Logger, 'warn'>
  nowMs: () => number
}

interface Reader {
  read: (bytes: Buffer) => unknown
  writer: Type
  /** By field; undefined where it cannot be peeked at. */
  peeks: Map<string, ((bytes: Buffer, pos: number) => string) | undefined>
}

interface Channel {
  fullName: string
  type: Type
  id: number
  /** By the writer's schema id. */
  readers: Map<number, Reader>
}

export async function createCodecOver(deps: CodecDeps, options: { namespace: string }): Promise<Codec> {
  const channels = await openChannels(deps.registry, options.namespace)
  const unusable = new Map<string, { reason: string; untilMs: number }>()
  const lookUps = new Map<string, Promise<Reader>>()
  let scratch = Buffer.allocUnsafe(64 * 1024)

  const channelOf = (name: EventName): Channel => channels.get(name)!

  function remember(key: string, reason: string): ShuntError {
    if (unusable.size >= maxUnusable) unusable.delete(unusable.keys().next().value!)
    unusable.set(key, { reason, untilMs: deps.nowMs() + unusableTtlMs })
    deps.log.warn({ schema: key, reason }, 'records of this schema id cannot be read')
    return undecodable(reason)
  }

  async function lookUp(name: EventName, id: number, key: string): Promise<Reader> {
    const channel = channelOf(name)
    const writer = await deps.registry.schemaById(id)
    if (writer === undefined) throw remember(key, `the registry has no schema with id ${id}`)
    if (typeof writer === 'string') throw remember(key, `schema id ${id} cannot be used: ${writer}`)
    let found: Reader
    try {
      found = readerOf(channel, writer)
    } catch (error) {
      const what = writer.name === channel.fullName ? `another form of it (${messageOf(error)})` : String(writer.name)
      throw remember(key, `expected ${channel.fullName}, schema id ${id} is ${what}`)
    }
    channel.readers.set(id, found)
    return found
  }

  function reader(name: EventName, id: number): Promise<Reader> {
    const key = `${name}/${id}`
    const known = unusable.get(key)
    if (known) {
      if (deps.nowMs() < known.untilMs) throw undecodable(known.reason)
      unusable.delete(key)
    }
    let pending = lookUps.get(key)
    if (!pending) {
      pending = lookUp(name, id, key).finally(() => lookUps.delete(key))
      lookUps.set(key, pending)
    }
    return pending
  }

  function unframe(name: EventName, bytes: Buffer | null): { channel: Channel; id: number; framed: Buffer } {
    const channel = channelOf(name)
    if (bytes === null || bytes.length <= headerBytes)
      throw undecodable(`expected ${channel.fullName}, got ${bytes ? `${bytes.length} bytes` : 'no value'}`)
    if (bytes[0] !== magicByte)
      throw undecodable(
        `expected ${channel.fullName} in Confluent's framing, whose first byte is 0x00; got 0x${bytes.toString('hex', 0, 1)}`,
      )
    return { channel, id: bytes.readUInt32BE(1), framed: bytes }
  }

  function readWith(channel: Channel, id: number, { read }: Reader, bytes: Buffer): unknown {
    try {
      return read(bytes)
    } catch (error) {
      throw undecodable(`${channel.fullName} of schema id ${id}: ${messageOf(error)}`)
    }
  }

  return {
    encode(name, value) {
      const { type, id, fullName } = channelOf(name)
      try {
        let end = type.encode(value, scratch, headerBytes)
        if (end < 0) {
          scratch = Buffer.allocUnsafe(2 * (scratch.length - end))
          end = type.encode(value, scratch, headerBytes)
        }
        const framed = Buffer.from(scratch.subarray(0, end))
        framed[0] = magicByte
        framed.writeUInt32BE(id, 1)
        return framed
      } catch (error) {
        throw new ShuntError('SHUNT_EVENT_INVALID', `${fullName}: ${invalidPaths(type, value)}`, {
          cause: error instanceof RangeError ? error : undefined,
        })
      }
    },

    async decode<N extends EventName>(name: N, bytes: Buffer | null): Promise<EventTypes[N]> {
      const { channel, id, framed } = unframe(name, bytes)
      return readWith(channel, id, channel.readers.get(id) ?? (await reader(name, id)), framed) as EventTypes[N]
    },

    decodeNow<N extends EventName>(name: N, bytes: Buffer | null): EventTypes[N] | undefined {
      const { channel, id, framed } = unframe(name, bytes)
      const known = channel.readers.get(id)
      return known && (readWith(channel, id, known, framed) as EventTypes[N])
    },

    peekString(name, field, bytes) {
      if (bytes.length <= headerBytes || bytes[0] !== magicByte) return null
      const known = channelOf(name).readers.get(bytes.readUInt32BE(1))
      if (!known) return null
      if (!known.peeks.has(field)) known.peeks.set(field, stringFieldReader(known.writer, field))
      try {
        return known.peeks.get(field)?.(bytes, headerBytes) ?? null
      } catch {
        return null
      }
    },
  }
}

async function openChannels(registry: CodecDeps['registry'], namespace: string): Promise<Map<EventName, Channel>> {
  const channels = new Map<EventName, Channel>()
  const subjects = subjectsIn(namespace)
  const ids = await Promise.all(subjects.map(({ subject, name }) => registry.idOf(subject, schemaText(name))))
  const missing = subjects.filter((_subject, i) => ids[i] === undefined).map(({ subject }) => subject)
  if (missing.length > 0)
    throw new ShuntError(
      'SHUNT_SETUP_FAILED',
      `the registry lacks this release's schema of ${missing.join(', ')}: run \`shunt schemas register\``,
    )
  for (const [i, { name }] of subjects.entries()) {
    const id = ids[i]!
    const channel = channels.get(name) ?? openChannel(name, id)
    channels.set(name, channel)
    // Some registries give each subject's copy of a schema an id of its own.
    channel.readers.set(id, readerOf(channel, channel.type))
  }
  return channels
}

function openChannel(name: EventName, id: number): Channel {
  const { namespace, name: record } = readSchema(name)
  return { fullName: `${namespace}.${record}`, type: avroType(name), id, readers: new Map() }
}

/** Throws where the writer's type cannot be resolved to ours. */
function readerOf(channel: Channel, writer: Type): Reader {
  if (writer.name !== channel.fullName) throw new Error('the name of the record differs')
  const { type } = channel
  const bounds = boundsOf(writer)
  // Equal types need no resolver, which would cost a third of the speed.
  const resolver = writer.equals(type) ? undefined : type.createResolver(writer)
  return {
    read(bytes) {
      const end = bounds(bytes, headerBytes)
      if (end !== bytes.length) throw new RangeError(`${bytes.length - end} bytes follow the value's end`)
      return type.decode(bytes, headerBytes, resolver).value
    },
    writer,
    peeks: new Map(),
  }
}

function undecodable(message: string): ShuntError {
  return new ShuntError('SHUNT_EVENT_UNDECODABLE', message)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function invalidPaths(type: Type, value: unknown): string {
  const paths: string[] = []
  type.isValid(value, {
    errorHook: (path, _value, expected) => paths.push(`${path.join('.')} is not ${String(expected)}`),
  })
  return paths.length > 0 ? paths.join(', ') : 'it cannot be written'
}
