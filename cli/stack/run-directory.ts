import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endRecorded } from './part.ts'
import { readPartRecords } from './part-record.ts'
import { runsDir, stackDir } from './paths.ts'
import { identifyProcess, isAlive, processIdentitySchema, type ProcessIdentity } from './process-identity.ts'

const OWNER_FILE = 'owner.json'

/** Room for a stack that ends with this process; first clears what dead owners left. Returns its path. */
export async function createRunDirectory(kind: 'start' | 'test' | 'replay', parent = runsDir): Promise<string> {
  mkdirSync(parent, { recursive: true })
  await sweepRunDirectories(parent)
  const owner = identifyProcess(process.pid)
  // Named only once it has its owner: nobody meets it without one.
  const made = mkdtempSync(join(parent, `.new-`))
  writeFileSync(join(made, OWNER_FILE), JSON.stringify(owner))
  const dir = join(parent, `${kind}-${process.pid}-${made.slice(-6)}`)
  renameSync(made, dir)
  return dir
}

/** Ends the processes and removes the directories of runs whose owner is gone (killed, or the machine went down). */
export async function sweepRunDirectories(parent = runsDir): Promise<void> {
  for (const name of readdirSync(parent)) {
    const dir = join(parent, name)
    const owner = readOwner(dir)
    if (owner ? !isAlive(owner) : isOld(dir)) await removeRunDirectory(dir)
  }
}

/** Ends what still runs from it and deletes it. */
export async function removeRunDirectory(dir: string): Promise<void> {
  const { run } = stackDir(dir)
  await endRecorded(run, readPartRecords(run), 5_000)
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
}

function readOwner(dir: string): ProcessIdentity | undefined {
  try {
    return processIdentitySchema.parse(JSON.parse(readFileSync(join(dir, OWNER_FILE), 'utf8')))
  } catch {
    return undefined
  }
}

function isOld(dir: string): boolean {
  const modifiedMs = statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
  return Date.now() - modifiedMs > 60_000
}
