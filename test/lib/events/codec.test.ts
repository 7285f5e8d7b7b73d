import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { avroType, avroTypeOf } from '#lib/events/avro-type'
import { createCodecOver, type CodecDeps } from '#lib/events/codec'
import { bundledSchema } from '#lib/events/schemas'
import { eventNames, type EventName } from '#lib/events/subjects'
import { stepFromJson } from '#lib/events/parse-step'
import type { ControlOrder } from '#lib/events/types.generated'
import { ShuntError } from '#lib/errors'
import { localCodec, localRegistry } from '../../support/local-codec.ts'
import { anyStep } from './arbitrary.ts'

const order: ControlOrder = { name: 'policy', orderId: 'o1', actor: 'a', reason: 'r', atMs: 5, value: '{}' }

const someStep = stepFromJson({
  stepId: 's1',
  taskId: 't1',
  tenantId: 'acme',
  request: { messages: [] },
  metadata: { a: 'b' },
})

function withId(bytes: Buffer, id: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt32BE(id, 1)
  return copy
}

type SchemaById = CodecDeps['registry']['schemaById']

function over(schemaById: SchemaById, nowMs: () => number = () => 0) {
  const warn = vi.fn<CodecDeps['log']['warn']>()
  const codec = createCodecOver(
    { registry: { ...localRegistry(), schemaById }, log: { warn }, nowMs },
    { namespace: '' },
  )
  return { codec, warn }
}

const undecodable = (message: string): unknown =>
  expect.objectContaining({
    code: 'SHUNT_EVENT_UNDECODABLE',
    retryable: false,
    message: expect.stringContaining(message) as string,
  })

describe('encode and decode', () => {
  test('decode(encode(step)) is the step, for any step', async () => {
    const codec = await localCodec()
    await fc.assert(
      fc.asyncProperty(anyStep, async (step) => {
        expect({ ...(await codec.decode('step', codec.encode('step', step))) }).toEqual(step)
      }),
    )
  })

  test('encode writes the magic byte, the schema id and Avro, also above the scratch buffer', async () => {
    const codec = await localCodec()
    for (const value of ['{}', 'x'.repeat(300_000)]) {
      const bytes = codec.encode('control-order', { ...order, value })
      const id = eventNames.indexOf('control-order') + 1
      expect([bytes[0], bytes.readUInt32BE(1)]).toEqual([0, id])
      expect(bytes.subarray(5)).toEqual(avroType('control-order').toBuffer({ ...order, value }))
    }
  })

  test('an encoded value is not touched by the next one', async () => {
    const codec = await localCodec()
    const first = codec.encode('control-order', order)
    const copy = Buffer.from(first)
    codec.encode('control-order', { ...order, reason: 'another' })
    expect(first).toEqual(copy)
  })

  test('a value that does not fit names its path and not its content', async () => {
    const codec = await localCodec()
    const wrong = { ...order, value: { secret: 'prompt' } } as unknown as ControlOrder
    let error: unknown
    try {
      codec.encode('control-order', wrong)
    } catch (caught) {
      error = caught
    }
    expect(error).toMatchObject({
      code: 'SHUNT_EVENT_INVALID',
      message: expect.stringContaining('value is not "string"'),
    })
    expect((error as Error).message).not.toContain('prompt')
    expect((error as Error).cause).toBeUndefined()
  })
})

describe('bytes that are no value', async () => {
  const codec = await localCodec()
  const good = codec.encode('control-order', order)

  test.each([
    ['nothing', null, 'no value'],
    ['no bytes', Buffer.alloc(0), '0 bytes'],
    ['a header alone', good.subarray(0, 5), '5 bytes'],
    ['another magic byte', Buffer.from('{"name":"policy"}'), 'got 0x7b'],
    ['truncated bytes', good.subarray(0, -1), 'end in the middle'],
    ['trailing bytes', Buffer.concat([good, Buffer.from('xy')]), '2 bytes follow'],
    ['the schema of another record', codec.encode('step-feedback', feedback()), 'is dev.shunt.events.StepFeedback'],
    ['an id that no schema has', withId(good, 999), 'no schema with id 999'],
  ])('%s', async (_what, bytes, message) => {
    await expect(codec.decode('control-order', bytes)).rejects.toEqual(undecodable(message))
  })

  /** Decodes and encodes again; false for any error but that the bytes are undecodable. */
  async function isTaken(name: EventName, bytes: Buffer): Promise<boolean> {
    try {
      codec.encode(name, await codec.decode(name, bytes))
      return true
    } catch (error) {
      return error instanceof ShuntError && error.code === 'SHUNT_EVENT_UNDECODABLE'
    }
  }

  test('any bytes behind a good header are undecodable, or a value that can be encoded again', async () => {
    const property = fc.asyncProperty(
      fc.constantFrom(...eventNames),
      fc.uint8Array({ maxLength: 300 }),
      (name, tail) => {
        const header = Buffer.alloc(5)
        header.writeUInt32BE(eventNames.indexOf(name) + 1, 1)
        return isTaken(name, Buffer.concat([header, tail]))
      },
    )
    await expect(fc.assert(property, { numRuns: 1_000 })).resolves.toBeUndefined()
  })

  test('a step with one changed byte is undecodable, or a step that can be encoded again', async () => {
    const step = codec.encode('step', someStep)
    const property = fc.asyncProperty(fc.nat({ max: step.length - 6 }), fc.nat({ max: 255 }), (at, byte) => {
      const bytes = Buffer.from(step)
      bytes[at + 5] = byte
      return isTaken('step', bytes)
    })
    await expect(fc.assert(property, { numRuns: 1_000 })).resolves.toBeUndefined()
  })
})

describe('schema ids of others', () => {
  /** ControlOrder as an older release had it (without reason's sibling) and as a newer one might have it. */
  const schema = bundledSchema('control-order') as { fields: { name: string }[] }
  const newer = avroTypeOf({ ...schema, fields: [...schema.fields, { name: 'urgency', type: 'int' }] })

  test("a newer writer's value comes out as one of ours", async () => {
    const codec = await over(() => Promise.resolve(newer)).codec
    const bytes = Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), newer.toBuffer({ ...order, urgency: 7 })])
    expect({ ...(await codec.decode('control-order', bytes)) }).toEqual(order)
  })

  test("an older writer's value gets our defaults, and an unknown symbol the enum's", async () => {
    const full = bundledSchema('policy-record') as { fields: { name: string }[] }
    const type = { type: 'enum', name: 'PolicyRecordType', symbols: ['future'], default: 'future' }
    const fields = [
      { name: 'hash', type: 'string' },
      { name: 'type', type },
      { name: 'content', type: 'bytes' },
    ]
    const older = avroTypeOf({ ...full, fields })
    const codec = await over(() => Promise.resolve(older)).codec
    const content = Buffer.from('x')
    const bytes = Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), older.toBuffer({ hash: 'h', type: 'future', content })])
    const value = await codec.decode('policy-record', bytes)
    expect({ ...value }).toEqual({ hash: 'h', type: 'unknown', part: 0, parts: 1, content })
  })

  test('a known id costs no look-up, and look-ups of one id at a time are one', async () => {
    const schemaById = vi.fn<SchemaById>(() => Promise.resolve(newer))
    const codec = await over(schemaById).codec
    await codec.decode('control-order', codec.encode('control-order', order))
    expect(schemaById).not.toHaveBeenCalled()
    const bytes = Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), newer.toBuffer({ ...order, urgency: 7 })])
    await Promise.all(Array.from({ length: 50 }, () => codec.decode('control-order', bytes)))
    expect(schemaById).toHaveBeenCalledTimes(1)
  })

  test('an unknown id is asked for again only after its time', async () => {
    let nowMs = 0
    const schemaById = vi.fn<SchemaById>(() => Promise.resolve(undefined))
    const { codec: pending, warn } = over(schemaById, () => nowMs)
    const codec = await pending
    const bytes = Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), newer.toBuffer({ ...order, urgency: 7 })])
    for (let i = 0; i < 5; i++)
      await expect(codec.decode('control-order', bytes)).rejects.toEqual(undecodable('no schema with id 256'))
    expect(schemaById).toHaveBeenCalledTimes(1)
    expect(warn).toHaveBeenCalledTimes(1)

    nowMs = 60_001
    schemaById.mockResolvedValue(newer)
    expect((await codec.decode('control-order', bytes)).name).toBe('policy')
  })

  test('the memory of unknown ids is bounded: the oldest goes first', async () => {
    const schemaById = vi.fn<SchemaById>(() => Promise.resolve(undefined))
    const codec = await over(schemaById).codec
    const decode = (id: number): Promise<unknown> =>
      codec.decode('control-order', withId(Buffer.alloc(8), id)).catch(() => 'refused')
    for (let id = 10_000; id < 11_001; id++) await decode(id)
    expect(schemaById).toHaveBeenCalledTimes(1_001)
    await decode(11_000)
    expect(schemaById).toHaveBeenCalledTimes(1_001)
    await decode(10_000)
    expect(schemaById).toHaveBeenCalledTimes(1_002)
  })

  test('a registry that is away is retryable and remembered for nobody', async () => {
    const away = new ShuntError('SHUNT_REGISTRY_UNAVAILABLE', 'away', { retryable: true })
    const schemaById = vi.fn<SchemaById>(() => Promise.reject(away))
    const codec = await over(schemaById).codec
    const bytes = Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), newer.toBuffer({ ...order, urgency: 7 })])
    await expect(codec.decode('control-order', bytes)).rejects.toBe(away)
    schemaById.mockResolvedValue(newer)
    expect((await codec.decode('control-order', bytes)).name).toBe('policy')
  })

  test('a schema that is not Avro, or that ours cannot be read from, is undecodable', async () => {
    const json = await over(() => Promise.resolve('it is not an Avro schema')).codec
    await expect(json.decode('control-order', Buffer.from([0, 0, 0, 1, 0, 1]))).rejects.toEqual(
      undecodable('not an Avro'),
    )
    const bare = avroTypeOf({ ...schema, fields: [{ name: 'name', type: 'string' }] })
    const lacking = await over(() => Promise.resolve(bare)).codec
    await expect(lacking.decode('control-order', Buffer.from([0, 0, 0, 1, 0, 1]))).rejects.toEqual(
      undecodable('another form of it'),
    )
  })
})

describe('creation', () => {
  test('names what is not registered, and the command', async () => {
    const registry = {
      ...localRegistry(),
      idOf: (subject: string) => Promise.resolve(subject === 'agent.results-value' ? undefined : 1),
    }
    await expect(localCodec({ registry })).rejects.toMatchObject({
      code: 'SHUNT_SETUP_FAILED',
      message: expect.stringMatching(/lacks .*agent\.results-value.*`shunt schemas register`/),
    })
  })

  test('passes a registry that is away on as retryable', async () => {
    const away = new ShuntError('SHUNT_REGISTRY_UNAVAILABLE', 'away', { retryable: true })
    const registry = { ...localRegistry(), idOf: () => Promise.reject(away) }
    await expect(localCodec({ registry })).rejects.toBe(away)
  })

  test('every copy of a schema is known by its own id where the registry gives each one', async () => {
    let id = 100
    const schemaById = vi.fn<SchemaById>(() => Promise.resolve(undefined))
    const codec = await localCodec({ registry: { idOf: () => Promise.resolve(id++), schemaById } })
    const bytes = codec.encode('step', someStep)
    expect((await codec.decode('step', withId(bytes, 101))).stepId).toBe('s1')
    expect(schemaById).not.toHaveBeenCalled()
  })
})

function feedback() {
  return { stepId: 's', taskId: 't', tenantId: 'x', verdict: 'right' as const, code: null, actor: null, atMs: 1 }
}

describe('decoding without waiting', () => {
  test('gives what decode gives, once a value of the schema was decoded', async () => {
    const { codec: opening } = over(() => Promise.resolve(avroType('control-order')))
    const codec = await opening
    const bytes = codec.encode('control-order', order)
    expect({ ...codec.decodeNow('control-order', bytes) }).toEqual(order)
    const unmet = withId(bytes, 700)
    expect(codec.decodeNow('control-order', unmet)).toBeUndefined()
    await codec.decode('control-order', unmet)
    expect({ ...codec.decodeNow('control-order', unmet) }).toEqual(order)
  })

  test('refuses what decode refuses', async () => {
    const codec = await localCodec()
    const bytes = codec.encode('control-order', order)
    expect(() => codec.decodeNow('control-order', null)).toThrow(undecodable('no value'))
    expect(() => codec.decodeNow('control-order', Buffer.from('no Avro'))).toThrow(undecodable('framing'))
    expect(() => codec.decodeNow('control-order', bytes.subarray(0, -1))).toThrow(undecodable('of schema id'))
  })
})
