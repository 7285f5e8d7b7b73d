import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sealPublished, type Keys } from '#lib/erasure/step-texts'
import { ShuntError } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { stepFromJson } from '#lib/events/parse-step'
import type { Policy } from '#lib/policy/schema'
import type { InboundRecord } from '#lib/stream/types'
import { copyStep, createShift } from '#lib/replay/publish/copy-step'
import type { ReplayFilter } from '#lib/replay/publish/range'
import { localCodec } from '../../../support/local-codec.ts'
import { memoryKeys } from '../../../support/memory-keys.ts'

const codec: Codec = await localCodec()
const step = {
  stepId: 's',
  taskId: 't',
  tenantId: 'acme',
  kind: 'classification',
  request: { messages: [{ role: 'user', content: 'Größe?' }], seed: 7 },
}
const tenant = { id: 'acme' } as Policy['tenants'][number]
const nowMs = 2_000_000_000_000
const recordedAtMs = 1_000_000_000_000

const record = (value: object | Buffer | null, more: Partial<InboundRecord> = {}): InboundRecord => ({
  topic: 'live.agent.steps',
  partition: 2,
  offset: 17,
  key: Buffer.from('t'),
  value: value === null || Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)),
  headers: { traceparent: '00-aa-bb-01' },
  timestampMs: recordedAtMs,
  ...more,
})

const copy = (
  of: InboundRecord,
  {
    filter = {},
    wanted = true,
    tenants = [tenant],
    shiftMs = createShift(() => nowMs),
    keys = null,
    sinceMs = null,
    untilMs = null,
  }: {
    sinceMs?: number | null
    untilMs?: number | null
    keys?: Keys
    tenants?: Policy['tenants']
    filter?: ReplayFilter
    wanted?: boolean
    shiftMs?: ReturnType<typeof createShift>
  } = {},
) =>
  copyStep({ codec, keys, isWanted: () => wanted, shiftMs }, of, {
    id: 'x',
    from: 'live',
    to: 'live.replay-x',
    policy: { request: { unsupportedFields: 'refuse' }, tenants },
    filter,
    times: { sinceMs, untilMs },
  })

test('a copy has the bytes, key, partition and headers of its record, and names it', async () => {
  const avro = codec.encode('step', stepFromJson(step))
  for (const given of [record(step), record(avro)])
    expect(await copy(given)).toEqual({
      topic: 'live.replay-x.agent.steps',
      partition: 2,
      key: given.key,
      value: given.value,
      headers: { traceparent: '00-aa-bb-01', 'x-replay-id': 'x', 'x-replay-source': 'agent.steps/2/17' },
      source: 'agent.steps/2/17',
      step: { tenantId: 'acme', stepId: 's' },
    })
})

test('a deadline keeps its distance from when the step was published, as JSON and as Avro', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: -1_000_000, max: 1_000_000_000 }), fc.boolean(), async (left, asAvro) => {
      const timed = { ...step, deadlineAtMs: recordedAtMs + left }
      const copied = await copy(record(asAvro ? codec.encode('step', stepFromJson(timed)) : timed))
      const read = asAvro
        ? await codec.decode('step', copied!.value)
        : stepFromJson(JSON.parse(copied!.value!.toString()))
      expect(read).toEqual(stepFromJson({ ...timed, deadlineAtMs: nowMs + left }))
    }),
  )
})

test('the same step published again stays the same bytes', async () => {
  let clock = nowMs
  const shiftMs = createShift(() => (clock += 1_000))
  const timed = { ...step, deadlineAtMs: recordedAtMs + 5_000 }
  const first = await copy(record(timed), { shiftMs })
  const second = await copy(record(timed, { offset: 18, timestampMs: recordedAtMs + 300 }), { shiftMs })
  expect(second!.value).toEqual(first!.value)
})

test.each([
  ['garbage', record(Buffer.from('no step'))],
  ['a tombstone', record(null)],
  ['a step with a field too many', record({ ...step, priorty: 'batch' })],
])('what no step can be read of is copied as it is, unless certain steps are asked for: %s', async (_what, given) => {
  expect(await copy(given)).toMatchObject({ value: given.value, step: null })
  expect(await copy(given, { filter: { taskIds: ['t'] } })).toBeNull()
  expect(await copy(given, { filter: { tenantIds: ['acme'] } })).toBeNull()
  expect(await copy(given, { wanted: false })).toBeNull()
})

test('a filter leaves out other tasks and tenants', async () => {
  expect(await copy(record(step), { filter: { taskIds: ['a', 't'], tenantIds: ['acme'] } })).not.toBeNull()
  expect(await copy(record(step), { filter: { taskIds: ['a'] } })).toBeNull()
  expect(await copy(record(step), { filter: { tenantIds: ['globex'] } })).toBeNull()
})

test('a record goes by its own time, whatever those beside it say', async () => {
  expect(await copy(record(step), { sinceMs: recordedAtMs, untilMs: recordedAtMs + 1 })).not.toBeNull()
  expect(await copy(record(step), { sinceMs: recordedAtMs + 1 })).toBeNull()
  expect(await copy(record(step), { untilMs: recordedAtMs })).toBeNull()
})

test('a step in the wrong twin is left to its moved record, unless the classifier rejects it where it lies', async () => {
  const batch = { ...step, priority: 'batch' }
  expect(await copy(record(batch), { tenants: [] })).not.toBeNull()
  expect(await copy(record(batch))).toBeNull()
  expect(await copy(record(batch, { topic: 'live.agent.steps.batch' }))).toMatchObject({
    topic: 'live.replay-x.agent.steps.batch',
  })
})

test('a sealed step in the wrong twin is opened to see whether the classifier moves it', async () => {
  const keys = await memoryKeys('acme')
  const sealed = await sealPublished(keys, stepFromJson({ ...step, priority: 'batch' }))
  const given = record(codec.encode('step', sealed))
  expect(await copy(given, { keys })).toBeNull()
  keys.erase('acme')
  expect(await copy(given, { keys })).not.toBeNull()
  const mustBeSealed = [{ ...tenant, texts: 'sealed' as const }]
  await expect(copy(given, { tenants: mustBeSealed })).rejects.toThrow(/SHUNT_DATA_KEYS/)
})

test('a registry that is away is no reason to take a step for garbage', async () => {
  const away = new ShuntError('SHUNT_REGISTRY_UNAVAILABLE', 'away', { retryable: true })
  const unreachable = { ...codec, decode: () => Promise.reject(away) }
  const deps = { codec: unreachable, keys: null, isWanted: () => true, shiftMs: () => 0 }
  const options = {
    id: 'x',
    from: 'live',
    to: 'r',
    policy: { request: {}, tenants: [] } as never,
    filter: {},
    times: { sinceMs: null, untilMs: null },
  }
  await expect(copyStep(deps, record(Buffer.from([0, 0, 0, 0, 1, 2])), options)).rejects.toBe(away)
})
