import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { isAlive, processIdentitySchema } from './process-identity.ts'

/** In the order in which they are started; they end in reverse. */
export const partNames = ['redis', 'kafka', 'registry', 'inference', 'classifier', 'oss-pool', 'frontier'] as const
export type PartName = (typeof partNames)[number]

const partRecordSchema = z.object({
  name: z.enum(partNames),
  process: processIdentitySchema,
  /** How others reach it: a broker's host:port, a URL. */
  address: z.string(),
  logFile: z.string(),
})

/** What a stack remembers of a process it started, so that another command finds it, or knows that it is gone. */
export type PartRecord = z.infer<typeof partRecordSchema>

export function writePartRecord(runDir: string, record: PartRecord): void {
  mkdirSync(runDir, { recursive: true })
  const path = join(runDir, `${record.name}.json`)
  writeFileSync(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`)
  renameSync(`${path}.new`, path)
}

export function removePartRecord(runDir: string, name: PartName): void {
  rmSync(join(runDir, `${name}.json`), { force: true })
}

/** The records whose processes live, in the order of starting. The others are removed: their processes are gone. */
export function readPartRecords(runDir: string): PartRecord[] {
  const files = listOrEmpty(runDir).filter((file) => file.endsWith('.json'))
  const records: PartRecord[] = []
  for (const file of files) {
    const record = readRecord(join(runDir, file))
    if (record && isAlive(record.process)) records.push(record)
    else rmSync(join(runDir, file), { force: true })
  }
  return records.toSorted((a, b) => partNames.indexOf(a.name) - partNames.indexOf(b.name))
}

function readRecord(path: string): PartRecord | undefined {
  try {
    return partRecordSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined
  }
}

function listOrEmpty(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}
