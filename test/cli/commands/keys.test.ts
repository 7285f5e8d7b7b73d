import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addKeysCommand } from '../../../cli/commands/keys.ts'
import { runCommand } from '../../support/run-command.ts'

let parent: string
beforeEach(async () => void (parent = await mkdtemp(join(tmpdir(), 'shunt-keys-cli-'))))
afterEach(() => rm(parent, { recursive: true }))

const dir = () => join(parent, 'keys')
const run = (...args: string[]) => runCommand([addKeysCommand], ['keys', ...args], '', { SHUNT_DATA_KEYS: dir() })

test('create makes the first key, rotate a further one; list tells their ids and never a key', async () => {
  await run('create', '--tenant', 'acme')
  const made = JSON.parse((await run('rotate', '--tenant', 'acme', '--json')).out) as { keyId: string; path: string }
  expect(await readdir(join(dir(), 'acme'))).toHaveLength(2)
  const key = (await readFile(made.path, 'utf8')).trim()
  expect(key).toMatch(/^[A-Za-z0-9_-]{43}$/)
  const { out } = await run('list')
  expect(out).toMatch(/^tenant +key +made\nacme +\S+-[0-9a-f]{8} +20/)
  expect(out).toContain(made.keyId)
  expect(out + (await run('list', '--json')).out).not.toContain(key)
})

test('a key that is there already is not replaced by a slip, and one that is not there is not rotated', async () => {
  await run('create', '--tenant', 'acme')
  await expect(run('create', '--tenant', 'acme')).rejects.toThrow('shunt keys rotate')
  await expect(run('rotate', '--tenant', 'acmee')).rejects.toThrow('shunt keys create')
  expect(await readdir(dir())).toEqual(['acme'])
})

test('a tenant whose keys were deleted is listed as erased', async () => {
  await run('create', '--tenant', 'acme')
  for (const name of await readdir(join(dir(), 'acme'))) await rm(join(dir(), 'acme', name))
  expect((await run('list')).out).toContain('(none: erased)')
})

test('of a tenant that never had a key none was erased', async () => {
  await run('create', '--tenant', 'acme')
  expect((await run('list', '--tenant', 'acme', '--json')).out).toContain('"acme"')
  expect((await run('list', '--tenant', 'globex')).out).not.toContain('globex')
  expect(JSON.parse((await run('list', '--tenant', 'globex', '--json')).out)).toEqual([])
})

test('without a directory the command says what to set', async () => {
  await expect(runCommand([addKeysCommand], ['keys', 'list'])).rejects.toThrow('SHUNT_DATA_KEYS')
})
