import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { install, isInstalled, type Download } from '../../../cli/stack/install-parts.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'shunt-parts-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function download(fetch: Download['fetch']): Download {
  return { name: 'some part', place: join(dir, 'part-1.0'), fetch }
}

const whole: Download['fetch'] = async (workDir) => {
  writeFileSync(join(workDir, 'file'), `whole; found ${readdirSync(workDir).length} files before`)
  return join(workDir, 'file')
}

test('a part is at its place once it is whole, and nothing else stays', async () => {
  const part = download(whole)
  expect(isInstalled(part)).toBe(false)
  const seconds = await install(part, new AbortController().signal)
  expect(seconds).toBeGreaterThan(0)
  expect(isInstalled(part)).toBe(true)
  expect(readdirSync(dir)).toEqual(['part-1.0'])
})

test('a download that was cut short is no part, and the next one begins anew', async () => {
  const part = download(whole)
  mkdirSync(join(dir, '.download-some-part'))
  writeFileSync(join(dir, '.download-some-part', 'file'), 'half')
  expect(isInstalled(part)).toBe(false)
  await install(part, new AbortController().signal)
  expect(readFileSync(part.place, 'utf8')).toBe('whole; found 0 files before')
})

test('a download that fails leaves nothing and shows what the program said', async () => {
  const part = download(async () => {
    throw Object.assign(new Error('Command failed'), { stderr: 'no route to host\n' })
  })
  await expect(install(part, new AbortController().signal)).rejects.toThrow(
    'the download of the some part failed:\nno route to host',
  )
  expect(existsSync(part.place)).toBe(false)
  expect(readdirSync(dir)).toEqual([])
})

test('an interrupted download ends as interrupted, not as failed', async () => {
  const stop = new AbortController()
  const part = download(async (_workDir, signal) => {
    stop.abort(new Error('Ctrl-C'))
    signal.throwIfAborted()
    return ''
  })
  await expect(install(part, stop.signal)).rejects.toThrow('Ctrl-C')
  expect(readdirSync(dir)).toEqual([])
})
