import { mkdir, readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditEntry, AuditSource, SourceRange, SourceReading } from '#lib/audit/source'
import { ShuntError } from '#lib/errors'
import { createEnds } from './chain-ends.ts'
import { manifestVersion, writeManifest, type Manifest } from './manifest.ts'
import { createSeenSchemas } from './seen-schemas.ts'
import { createExportWriters, type ExportWriters } from './export-writers.ts'
import { bodyTables, type BodyRow, type BodyTable } from './tables.ts'

/** What a row takes beside the bytes of its body; a decoded one is about five times as large as its bytes. */
const rowBytes = 300
const decodedFactor = 5

export interface ExportOptions {
  /** New, or an empty directory. */
  dir: string
  namespace: string
  /** Offsets, where there are any, are what of the log is read; times bound everything else. */
  range: SourceRange
  /** `shunt 0.6.0`. */
  createdBy: string
  nowMs: () => number
  signal: AbortSignal
  /** Told of each topic before it is read. */
  reading: (what: string) => { total: (count: number) => void; at: (count: number) => void; end: () => void }
  maxFileBytes?: number
}

/**
 * Writes what the source holds to Parquet: the log, the same decoded for SQL, results, verdicts, and all policies. One
 * pass, constant memory. What fails or is interrupted leaves nothing behind. Throws SHUNT_CONFIG_INVALID where the
 * directory holds something, what the source throws, and the signal's reason.
 */
export async function writeExport(source: AuditSource, options: ExportOptions): Promise<Manifest> {
  const isOurs = await emptyDirectory(options.dir)
  const writers = createExportWriters(options)
  try {
    const manifest = await fill(source, writers, options)
    options.signal.throwIfAborted()
    await writeManifest(options.dir, manifest)
    return manifest
  } catch (error) {
    await writers.abandon()
    await removeWritten(options.dir, isOurs)
    throw error
  }
}

async function fill(source: AuditSource, writers: ExportWriters, options: ExportOptions): Promise<Manifest> {
  const { signal, reading } = options
  const { offsets, ...times } = options.range
  const ends = createEnds()
  const seen = createSeenSchemas(source.schemaById)
  let undecodable = 0
  let undecodableBodies = 0

  async function addEntry(entry: AuditEntry): Promise<void> {
    ends.add(entry)
    const bytes = entry.record?.body ?? entry.value
    await writers.put(writers.audit(entry.partition), entry, rowBytes + (bytes?.length ?? 0))
    await seen.add(bytes)
    if (!entry.record) undecodable += 1
    else if (!(await addBody(entry, bodyTables[entry.record.type]))) undecodableBodies += 1
  }

  /** False where the body cannot be decoded. */
  async function addBody(entry: AuditEntry, table: BodyTable | null): Promise<boolean> {
    if (!table || !entry.record) return true
    const { body } = entry.record
    let decoded: BodyRow['body']
    try {
      decoded = await source.codec.decode(table.schema, body)
    } catch (error) {
      if (error instanceof ShuntError && error.code === 'SHUNT_EVENT_UNDECODABLE') return false
      throw error
    }
    await writers.put(writers.bodies(table), { entry, body: decoded }, rowBytes + decodedFactor * body.length)
    return true
  }

  async function each<Item>(
    what: string,
    read: (told: SourceReading) => AsyncIterable<readonly Item[]>,
    add: (item: Item) => void | Promise<void>,
  ): Promise<void> {
    const progress = reading(what)
    let count = 0
    try {
      for await (const batch of read({ signal, onTotal: progress.total })) {
        for (const item of batch) await add(item)
        progress.at((count += batch.length))
        signal.throwIfAborted()
      }
    } finally {
      progress.end()
    }
  }

  await each('audit', (told) => source.audit(offsets ? { offsets } : times, told), addEntry)
  await each(
    'results',
    (told) => source.results(times, told),
    (entry) => writers.put(writers.results, entry, rowBytes),
  )
  await each(
    'feedback',
    (told) => source.feedback(times, told),
    (entry) => writers.put(writers.feedback, entry, rowBytes),
  )
  await each(
    'policies',
    () => source.policies(),
    (record) => writers.put(writers.policies, record, rowBytes + record.content.length),
  )
  const { files, rows } = await writers.finish()
  return {
    version: manifestVersion,
    createdBy: options.createdBy,
    createdAt: new Date(options.nowMs()).toISOString(),
    namespace: options.namespace,
    source: source.name,
    range: {
      sinceMs: times.sinceMs ?? null,
      untilMs: times.untilMs ?? null,
      offsets: [...(offsets ?? [])].map(([partition, { from, until }]) => ({
        partition,
        from: from ?? 0,
        until: until ?? null,
      })),
    },
    partitions: ends.partitions(),
    chains: ends.chains(),
    rows,
    undecodable,
    undecodableBodies,
    schemas: seen.schemas(),
    files,
  }
}

/** True where it had to be made. */
async function emptyDirectory(dir: string): Promise<boolean> {
  const made = await mkdir(dir, { recursive: true })
  const [found] = await readdir(dir)
  if (found !== undefined)
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      `${dir} holds ${found} already: name a directory that is new or empty, so that no export is mixed with another`,
    )
  return made !== undefined
}

/** What this export wrote; the directory was empty before. */
async function removeWritten(dir: string, isOurs: boolean): Promise<void> {
  for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true })
  if (isOurs) await rmdir(dir)
}
