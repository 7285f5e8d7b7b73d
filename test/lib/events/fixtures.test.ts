import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { avroType, avroTypeOf } from '#lib/events/avro-type'
import { createCodecOver } from '#lib/events/codec'
import { eventNames, type EventName } from '#lib/events/subjects'
import { localRegistry } from '../../support/local-codec.ts'

interface Fixture {
  name: EventName
  version: string
  read: (ending: 'json' | 'bin' | 'avsc') => Buffer
}

const fixtures = eventNames.flatMap((name): Fixture[] => {
  const dir = new URL(`../../../schemas/fixtures/${name}/`, import.meta.url)
  const versions = readdirSync(dir).flatMap((file) => /^(v\d+)\.bin$/.exec(file)?.[1] ?? [])
  return versions.map((version) => ({
    name,
    version,
    read: (ending) => readFileSync(new URL(`${version}.${ending}`, dir)),
  }))
})

const writerId = 1_000

function framed(bytes: Buffer): Buffer {
  const header = Buffer.alloc(5)
  header.writeUInt32BE(writerId, 1)
  return Buffer.concat([header, bytes])
}

test('every schema has a fixture', () => {
  expect(new Set(fixtures.map(({ name }) => name))).toEqual(new Set(eventNames))
})

describe.each(fixtures)('$name $version', ({ name, read }) => {
  const writer = avroTypeOf(JSON.parse(read('avsc').toString()))
  const written = writer.fromString(read('json').toString()) as object
  const registry = { ...localRegistry(), schemaById: () => Promise.resolve(writer) }

  test("is decoded by today's code with every value that it was written with", async () => {
    const codec = await createCodecOver({ registry, log: { warn: () => {} }, nowMs: () => 0 }, { namespace: '' })
    const value = await codec.decode(name, framed(read('bin')))
    expect(value).toMatchObject(written)
    expect(avroType(name).isValid(value)).toBe(true)
  })

  test('is what its JSON gives under its own schema', () => {
    expect(writer.toBuffer(written)).toEqual(read('bin'))
  })
})
