import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

const scripts = join(import.meta.dirname, '../../scripts')

/** Takes its time, as npm does; `broken` lies about where a real one would meet an unreachable registry. */
const fakeNpm = `
  const fs = require('node:fs')
  fs.appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n')
  fs.rmSync('node_modules', { recursive: true, force: true })
  fs.mkdirSync('node_modules/some-package', { recursive: true })
  if (fs.existsSync('broken')) { console.error('npm error network'); process.exit(1) }
  setTimeout(() => fs.writeFileSync('node_modules/some-package/index.js', ''), 200)`

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'shunt-bootstrap-'))
  mkdirSync(join(dir, 'scripts', 'patches'), { recursive: true })
  for (const name of ['bootstrap.mjs', 'lock.mjs']) cpSync(join(scripts, name), join(dir, 'scripts', name))
  writeFileSync(join(dir, 'scripts', 'install-stack.ts'), `process.stderr.write('stack installed\\n')`)
  writeFileSync(join(dir, 'package-lock.json'), '{}')
  writeFileSync(join(dir, 'npm-cli.js'), fakeNpm)
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function bootstrap(): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, ['scripts/bootstrap.mjs'], {
    cwd: dir,
    env: { ...process.env, npm_execpath: join(dir, 'npm-cli.js'), npm_node_execpath: process.execPath },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, output }
}

function npmCalls(): string[] {
  const calls = join(dir, 'npm-calls')
  return existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : []
}

test('a fresh checkout gets its packages once, and then its stack each time', async () => {
  const first = await bootstrap()
  expect(first).toMatchObject({ code: 0, output: expect.stringContaining('installed packages') as string })
  expect(await bootstrap()).toEqual({ code: 0, output: 'stack installed\n' })
  expect(npmCalls()).toEqual([expect.stringMatching(/^ci --loglevel=error/)])
})

test('packages are installed again when the lock file or a patch has changed', async () => {
  await bootstrap()
  writeFileSync(join(dir, 'package-lock.json'), '{"changed":true}')
  await bootstrap()
  writeFileSync(join(dir, 'scripts', 'patches', 'some-package.patch'), 'a patch')
  await bootstrap()
  expect(npmCalls()).toHaveLength(3)
})

test('an install that failed is shown and done again', async () => {
  writeFileSync(join(dir, 'broken'), '')
  const failed = await bootstrap()
  expect(failed.code).toBe(1)
  expect(failed.output).toContain('npm ci failed:\nnpm error network')
  rmSync(join(dir, 'broken'))
  expect(await bootstrap()).toMatchObject({ code: 0 })
  expect(npmCalls()).toHaveLength(2)
})

test('of two at once one installs and the other waits for it', async () => {
  const both = await Promise.all([bootstrap(), bootstrap()])
  expect(both.map(({ code }) => code)).toEqual([0, 0])
  expect(npmCalls()).toHaveLength(1)
})
