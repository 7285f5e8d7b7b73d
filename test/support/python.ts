import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { acquireLock } from '../../scripts/lock.mjs'
import { shuntDir } from '../../cli/stack/paths.ts'
import { findPip } from '../../cli/stack/tools.ts'

const installTimeoutMs = 300_000

/**
 * A Python in which the requirements are installed, in .shunt/python: made once for each content of the file, and only
 * whole ones get their place. Throws with the remedy where Python or pip is missing.
 */
export async function pythonWith(requirementsFile: string): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(requirementsFile)).digest('hex').slice(0, 12)
  const parent = join(shuntDir, 'python')
  const place = join(parent, digest)
  const python = join(place, 'bin', 'python')
  if (existsSync(python)) return python
  mkdirSync(parent, { recursive: true })
  const lock = await acquireLock(parent)
  try {
    if (existsSync(python)) return python
    const system = findPip()
    if (system === undefined)
      throw new Error(
        'Python 3 with pip was not found: install python3, python3-pip and python3-venv, then run it again',
      )
    rmSync(place, { recursive: true, force: true })
    // Scripts of a venv name the place it was made in; its python, all that is used here, does not.
    const building = `${place}.new`
    rmSync(building, { recursive: true, force: true })
    run(system, ['-m', 'venv', building], 'python3 -m venv failed: install python3-venv')
    const packages = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirementsFile]
    run(join(building, 'bin', 'python'), packages, 'pip install failed')
    renameSync(building, place)
    return python
  } finally {
    await lock.release()
  }
}

function run(command: string, args: string[], failure: string): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: installTimeoutMs })
  if (status !== 0) throw new Error(`${failure}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
}
