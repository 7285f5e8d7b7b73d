// Makes a machine ready for `npm start`, `npm test` and `npm run bench`: the packages, a Node that runs TypeScript, and
// the parts of the local stack. Plain JavaScript, since it runs on the Node that is there, from release 18 on.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { acquireLock } from './lock.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')
/** Holds the digest of what was installed. `npm ci` deletes it with the rest, so an unfinished install has none. */
const marker = join(modules, '.shunt-installed')

await bootstrap()

async function bootstrap() {
  if (release(process.versions.node) < 18_00) end(`Node ${process.versions.node} is too old: install Node 18 or later`)
  const wanted = packagesDigest()
  if (installedDigest() !== wanted) {
    const lock = await acquireLock(modules, () => say('waiting for another npm ci …'))
    if (installedDigest() !== wanted) installPackages(wanted)
    await lock.release()
  }
  const node = findNode()
  const installed = spawnSync(node, [join(root, 'scripts', 'install-stack.ts')], { cwd: root, stdio: 'inherit' })
  if (installed.status !== 0) process.exit(installed.status ?? 1)
}

function packagesDigest() {
  const patches = join(root, 'scripts', 'patches')
  const files = [join(root, 'package-lock.json'), ...readdirSync(patches).map((name) => join(patches, name))]
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`)
  // oxlint-disable-next-line unicorn/no-array-sort -- Node 18 has no toSorted()
  for (const file of files.sort()) hash.update(readFileSync(file))
  return hash.digest('hex')
}

function installedDigest() {
  return existsSync(marker) ? readFileSync(marker, 'utf8').trim() : undefined
}

function installPackages(digest) {
  const startedAt = Date.now()
  say('installing packages (npm ci) …')
  // Errors only: under an older Node npm warns of every package that wants Node 22, which the project brings.
  const quiet = ['ci', '--loglevel=error', '--no-audit', '--no-fund', '--no-progress']
  const env = { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true' }
  const { command, args } = npm()
  const { status, signal, stdout, stderr, error } = spawnSync(command, [...args, ...quiet], {
    cwd: root,
    env,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  })
  if (signal) end(`npm ci was ended by ${signal}`)
  if (status !== 0) end(`npm ci failed:\n${error?.message ?? `${stdout}${stderr}`.trim()}`)
  writeFileSync(marker, `${digest}\n`)
  say(`installed packages: ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
}

/** The npm that runs this script, with the Node that runs it: the one in node_modules goes while npm ci works. */
function npm() {
  const { npm_execpath: script, npm_node_execpath: node } = process.env
  if (script && script.endsWith('npm-cli.js')) return { command: node ?? process.execPath, args: [script] }
  return { command: 'npm', args: [] }
}

/** A Node that runs TypeScript by itself: the project's own where npm has one for this machine. */
function findNode() {
  const own = join(modules, '.bin', 'node')
  if (spawnSync(own, ['--version'], { stdio: 'ignore' }).status === 0) return own
  if (release(process.versions.node) >= 24_12) return process.execPath
  return end(
    `Node ${process.versions.node} cannot run TypeScript, and the project brings its own Node only for Linux (glibc, ` +
      `x64 and arm64), not for ${process.platform} ${process.arch}: install Node 24.12 or later`,
  )
}

/** 24.12.3 is 2412. */
function release(version) {
  const [major, minor] = version.split('.').map(Number)
  return major * 100 + minor
}

function say(line) {
  process.stderr.write(`bootstrap: ${line}\n`)
}

function end(message) {
  say(message)
  process.exit(1)
}
