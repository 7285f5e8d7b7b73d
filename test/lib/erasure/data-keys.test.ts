import { readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openDataKeys } from '#lib/erasure/data-keys'
import {
  createKeyFile,
  deleteKeyFile,
  keyMadeAtMs,
  listKeyFiles,
  listKeyTenants,
  newKeyId,
} from '#lib/erasure/key-files'

let dir: string
const nowMs = Date.UTC(2026, 10, 25, 12)

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shunt-keys-'))
})
afterEach(async () => {
  vi.useRealTimers()
  await rm(dir, { recursive: true })
})

test('a key that was made is found by its id, is for its owner alone, and is another tenant’s no key', async () => {
  const file = await createKeyFile(dir, 'acme', nowMs)
  expect((await stat(file.path)).mode & 0o777).toBe(0o600)
  expect((await stat(join(dir, 'acme'))).mode & 0o777).toBe(0o700)
  const keys = openDataKeys(dir)
  expect((await keys.byId('acme', file.keyId))?.id).toBe(file.keyId)
  expect((await keys.newest('acme'))?.id).toBe(file.keyId)
  expect(await keys.byId('globex', file.keyId)).toBeUndefined()
  expect(await keys.newest('globex')).toBeUndefined()
})

test('ids of keys are in order of age by name, and say when a key was made', () => {
  const ids = [nowMs + 1_000, nowMs, nowMs + 86_400_000].map(newKeyId)
  expect(ids.toSorted().map(keyMadeAtMs)).toEqual([nowMs, nowMs + 1_000, nowMs + 86_400_000])
  expect(keyMadeAtMs('from-our-vault')).toBeNull()
})

test('a young key is sealed with once it has settled, or where there is no older one', async () => {
  const older = await createKeyFile(dir, 'acme', nowMs)
  const younger = await createKeyFile(dir, 'acme', nowMs + 600_000)
  const newestAt = async (ms: number) => (await openDataKeys(dir, { nowMs: () => ms }).newest('acme'))?.id
  expect(await newestAt(nowMs + 10)).toBe(older.keyId)
  expect(await newestAt(nowMs + 600_000 + 119_000)).toBe(older.keyId)
  expect(await newestAt(nowMs + 600_000 + 120_000)).toBe(younger.keyId)
})

test('a key that was deleted is forgotten when its time in memory is over; one that came is found at once', async () => {
  const file = await createKeyFile(dir, 'acme', nowMs)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const keys = openDataKeys(dir, { keepMs: 20_000, lookAgainMs: 20 })
  expect(await keys.byId('acme', file.keyId)).toBeDefined()
  await deleteKeyFile(file)
  expect(await keys.byId('acme', file.keyId)).toBeDefined()
  vi.advanceTimersByTime(20_000)
  expect(await keys.byId('acme', file.keyId)).toBeUndefined()

  const next = await createKeyFile(dir, 'acme', nowMs)
  expect((await keys.byId('acme', next.keyId))?.id).toBe(next.keyId)
})

test('those who ask for a key that is not there share a reading, and the next comes some time later', async () => {
  await createKeyFile(dir, 'acme', nowMs)
  const keys = openDataKeys(dir, { lookAgainMs: 300 })
  await keys.newest('acme')
  const askedAt = performance.now()
  const missing = await Promise.all(Array.from({ length: 500 }, (_, i) => keys.byId('acme', `k${i}`)))
  expect(new Set(missing)).toEqual(new Set([undefined]))
  expect(performance.now() - askedAt).toBeGreaterThan(250)
})

test('who goes on with a key that is not there is told so at once, for as long as the reading is young', async () => {
  await createKeyFile(dir, 'acme', nowMs)
  let clockMs = nowMs
  const keys = openDataKeys(dir, { lookAgainMs: 60_000, keepMs: 600_000, nowMs: () => clockMs })
  await keys.newest('acme')
  clockMs += 60_000
  expect(await keys.byId('acme', 'deleted')).toBeUndefined()
  clockMs += 59_999
  expect(await keys.byId('acme', 'deleted')).toBeUndefined()
  await writeFile(join(dir, 'acme', 'deleted.key'), 'A'.repeat(43), { mode: 0o600 })
  clockMs += 1
  expect((await keys.byId('acme', 'deleted'))?.id, 'it is looked for again').toBe('deleted')
})

test('the directory of a tenant whose keys were deleted stays, and tells of it', async () => {
  await deleteKeyFile(await createKeyFile(dir, 'acme', nowMs))
  expect(await readdir(dir)).toEqual(['acme'])
  expect(await listKeyTenants(dir)).toEqual(['acme'])
  expect(await listKeyFiles(dir, 'acme')).toEqual([])
})

test('a directory that is gone or empty is no directory of deleted keys: whoever asks waits', async () => {
  const problem = { code: 'SHUNT_DATA_KEYS_UNAVAILABLE', retryable: true }
  await expect(openDataKeys(dir).byId('acme', 'k')).rejects.toMatchObject(problem)
  await expect(openDataKeys(join(dir, 'none')).newest('acme')).rejects.toMatchObject(problem)
  const file = await createKeyFile(dir, 'acme', nowMs)
  const keys = openDataKeys(dir, { keepMs: 0 })
  await rename(dir, `${dir}-away`)
  await expect(keys.byId('acme', file.keyId)).rejects.toMatchObject(problem)
  await rename(`${dir}-away`, dir)
  expect(await keys.byId('acme', file.keyId), 'a failure is not remembered').toBeDefined()
})

test.each([
  ['too short', 'abcd', 0o600],
  ['padded', `${'A'.repeat(43)}=`, 0o600],
  ['not base64url', '+'.repeat(43), 0o600],
  ['everybody’s to read', 'A'.repeat(43), 0o604],
])('a key file that is %s is named, and counts neither as a key nor as a deleted one', async (_name, text, mode) => {
  await mkdir(join(dir, 'acme'))
  const path = join(dir, 'acme', 'k1.key')
  await writeFile(path, text)
  await chmod(path, mode)
  const reading = openDataKeys(dir).byId('acme', 'k1')
  await expect(reading).rejects.toMatchObject({ code: 'SHUNT_DATA_KEYS_UNAVAILABLE', retryable: true })
  await expect(reading).rejects.toThrow(path)
})

test('what a file system fails at is no deletion: whoever asks waits', async () => {
  await mkdir(join(dir, 'acme', 'k1.key'), { recursive: true, mode: 0o700 })
  const reading = openDataKeys(dir).byId('acme', 'k1')
  await expect(reading).rejects.toMatchObject({ code: 'SHUNT_DATA_KEYS_UNAVAILABLE', retryable: true })
  await expect(reading).rejects.toThrow('k1.key')
})

test('of ids of one’s own the last in order is the newest, also where one goes on from another', async () => {
  await mkdir(join(dir, 'acme'))
  for (const id of ['2026', '2026-2', '2025'])
    await writeFile(join(dir, 'acme', `${id}.key`), 'A'.repeat(43), { mode: 0o600 })
  expect((await listKeyFiles(dir, 'acme')).map(({ keyId }) => keyId)).toEqual(['2025', '2026', '2026-2'])
  expect((await openDataKeys(dir).newest('acme'))?.id).toBe('2026-2')
})

test('a key is under its name once it is whole: who reads meanwhile meets no half of one', async () => {
  await mkdir(join(dir, 'acme'))
  const lengths = new Map<string, number>()
  const done = new AbortController()
  const looking = (async () => {
    for (; !done.signal.aborted; await setImmediate())
      for (const name of readdirSync(join(dir, 'acme')))
        if (name.endsWith('.key') && !lengths.has(name))
          lengths.set(name, readFileSync(join(dir, 'acme', name), 'utf8').trim().length)
  })()
  for (let i = 0; i < 60; i++) await createKeyFile(dir, 'acme', nowMs)
  done.abort()
  await looking
  expect([...new Set(lengths.values())]).toEqual([43])
})

test('a key that others than Shunt wrote is read, whatever its line end; what is no key file is passed over', async () => {
  await mkdir(join(dir, 'acme'))
  await writeFile(join(dir, 'acme', 'from-our-vault.key'), `${'A'.repeat(43)}\n`, { mode: 0o640 })
  for (const name of ['README', '..data', '.hidden.key', 'a.b.key'])
    await writeFile(join(dir, 'acme', name), 'no key', { mode: 0o600 })
  expect((await openDataKeys(dir).newest('acme'))?.id).toBe('from-our-vault')
})

test.each(['..', '../acme', 'a/b', '', '.'])('no path is made of the tenant id %j', async (tenantId) => {
  await createKeyFile(dir, 'acme', nowMs)
  expect(await listKeyFiles(dir, tenantId)).toEqual([])
})
