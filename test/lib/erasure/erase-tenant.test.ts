import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eraseTenant } from '#lib/erasure/erase-tenant'
import { createKeyFile, listKeyFiles } from '#lib/erasure/key-files'
import type { WriteOrderDeps } from '#lib/control/write-order'
import { localCodec } from '../../support/local-codec.ts'

const codec = await localCodec()
const nowMs = Date.UTC(2026, 10, 25, 12)
let dir: string
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), 'shunt-erase-'))))
afterEach(() => rm(dir, { recursive: true }))

/** Erases, with `meanwhile` at the moment when the order is written. */
function erase(meanwhile: () => Promise<unknown>) {
  const done = () => Promise.resolve()
  const producer = { connect: done, disconnect: done, send: meanwhile }
  const kafka = (() => ({ producer: () => producer })) as unknown as WriteOrderDeps['kafka']
  const given = { dir, tenantId: 'acme', actor: 'tester', reason: 'of the test' }
  return eraseTenant({ kafka, codec, nowMs: () => nowMs }, given, { namespace: '' })
}

test('all keys of the tenant are deleted, once the order that names them is written', async () => {
  const made = [await createKeyFile(dir, 'acme', nowMs), await createKeyFile(dir, 'acme', nowMs + 1_000)]
  await createKeyFile(dir, 'globex', nowMs)
  const ids = made.map(({ keyId }) => keyId)
  let whenOrdered = 0
  const { keyIds, order } = await erase(async () => (whenOrdered = (await listKeyFiles(dir, 'acme')).length))
  expect(whenOrdered).toBe(2)
  expect(keyIds).toEqual(ids)
  expect(order).toMatchObject({ name: 'erase/acme', value: JSON.stringify({ keys: ids }) })
  expect(await listKeyFiles(dir, 'acme')).toEqual([])
  expect(await listKeyFiles(dir, 'globex')).toHaveLength(1)
})

test('where the order cannot be written nothing is deleted', async () => {
  await createKeyFile(dir, 'acme', nowMs)
  const refused = erase(() => Promise.reject(new Error('no broker')))
  await expect(refused).rejects.toMatchObject({ code: 'SHUNT_KAFKA_UNAVAILABLE', retryable: true })
  expect(await listKeyFiles(dir, 'acme')).toHaveLength(1)
})

test('a key that was made meanwhile is no key that was erased: it is named, and the order is to be given again', async () => {
  await createKeyFile(dir, 'acme', nowMs)
  const rotated: string[] = []
  const erased = erase(async () => rotated.push((await createKeyFile(dir, 'acme', nowMs + 1_000)).keyId))
  await expect(erased).rejects.toMatchObject({ code: 'SHUNT_ORDER_INVALID' })
  await expect(erased).rejects.toThrow(rotated[0]!)
  await erase(() => Promise.resolve())
  expect(await listKeyFiles(dir, 'acme')).toEqual([])
})
