import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { isAlive, processIdentitySchema } from './process-identity.ts'

export const infrastructureNames = ['kafka', 'registry', 'redis', 'inference'] as const
export const serviceNames = ['ledger', 'classifier', 'oss-pool', 'frontier'] as const
export type InfrastructureName = (typeof infrastructureNames)[number]
export type ServiceName = (typeof serviceNames)[number]

/** Infrastructure first: it is started before the services and ends after them. */
const partNames = [...infrastructureNames, ...serviceNames] as const
export type PartName = (typeof partNames)[number]

const partRecordSchema = z.object({
  /** Unique in the stack; the part's name unless there are several of it. */
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  name: z.enum(partNames),
  process: processIdentitySchema,
  /** How others reach it: a broker's host:port, a URL. */
  address: z.string(),
  logFile: z.string(),
  /** What it was started with, where another start would have to be with the same. */
  settings: z.string(),
})

/** What a stack remembers of a process it started, so that another command finds it, or knows that it is gone. */
export type PartRecord = z.infer<typeof partRecordSchema>

export function writePartRecord(runDir: string, record: PartRecord): void {
  mkdirSync(runDir, { recursive: true })
  const path = join(runDir, `${record.id}.json`)
  writeFileSync(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`)
  renameSync(`${path}.new`, path)
}

export function removePartRecord(runDir: string, id: string): void {
  rmSync(join(runDir, `${id}.json`), { force: true })
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
