import { expect, test } from 'vitest'
import { auditEntry } from '#lib/audit/audit-entry'
import { createChain, linkHash } from '#lib/audit/chain'
import { avroTypeOf } from '#lib/events/avro-type'
import { ShuntError } from '#lib/errors'
import { readSchema, type AvroNode } from '#lib/events/schemas'
import type { AuditRecord, AuditType } from '#lib/events/types.generated'
import { localCodec, localRegistry } from '../../support/local-codec.ts'

const place = { topic: 'agent.audit', partition: 1, offset: 7, timestampMs: 9 }
const laterId = 900

/** The schema of a release that knows one type more. */
const later = JSON.parse(
  JSON.stringify(readSchema('audit-record')).replace('"lane_reset"]', '"lane_reset","later_type"]'),
) as AvroNode

const codecOfToday = () =>
  localCodec({
    registry: {
      ...localRegistry(),
      schemaById: (id) => (id === laterId ? Promise.resolve(avroTypeOf(later)) : localRegistry().schemaById(id)),
    },
  })

test('a link of a type that a later release knows has the hash that its writer gave it', async () => {
  const encode = (link: AuditRecord): Buffer => {
    const framed = Buffer.alloc(5)
    framed.writeUInt32BE(laterId, 1)
    return Buffer.concat([framed, avroTypeOf(later).toBuffer(link)])
  }
  const drafts = (['later_type', 'decision'] as AuditType[]).map((type) => ({ type, body: Buffer.from('body') }))
  const { records } = createChain({ topic: 'agent.audit', encode }).seal('group/topic/0', null, drafts)
  const codec = await codecOfToday()
  const entries = await Promise.all(records.map(async ({ value }) => auditEntry(codec, value, place)))
  const [first, second] = entries.map(({ record }) => record!)
  expect([first!.type, second!.type]).toEqual(['later_type', 'decision'])
  expect(second!.prevHash).toEqual(linkHash(first!))
})

test('bytes that are no record are an entry with the reason; a registry that is away is none', async () => {
  const codec = await localCodec()
  const value = Buffer.from('no record')
  expect(await auditEntry(codec, value, place)).toMatchObject({ ...place, record: null, value })
  expect(await auditEntry(codec, null, place)).toMatchObject({ record: null, value: null })
  const away = new ShuntError('SHUNT_REGISTRY_UNAVAILABLE', 'away', { retryable: true })
  const unreachable = await localCodec({ registry: { ...localRegistry(), schemaById: () => Promise.reject(away) } })
  const unknown = Buffer.from([0, 0, 0, 9, 9, 1, 2])
  await expect(auditEntry(unreachable, unknown, place)).rejects.toBe(away)
})
