import type { Logger } from 'pino'
import { createCodecOver } from '#lib/events/codec'
import { auditFiles, checkPresence, createFileCheck, filesOf } from './export/export-files.ts'
import { toAuditEntry, toFeedbackEntry, toPolicy, toResultEntry } from './export/from-rows.ts'
import { manifestRegistry } from './export/manifest-registry.ts'
import { readManifest, type Manifest } from './export/manifest.ts'
import { mergeByTime, readGroups, type Group, type Row } from './export/read-groups.ts'
import type { AuditSource, SourceRange, SourceReading } from './source.ts'

export interface ExportSourceDeps {
  log: Pick<Logger, 'warn'>
}

/**
 * An export as a log to read: no Kafka, no registry. Files are there with their sizes when this resolves; each one's sha256
 * is checked before its first row is given. Partitions come by row groups, in the order of their times. Throws
 * SHUNT_CONFIG_INVALID where the directory is no export of a version that is read here, SHUNT_EXPORT_DAMAGED.
 */
export async function openExportSource(dir: string, { log }: ExportSourceDeps): Promise<AuditSource> {
  const manifest = await readManifest(dir)
  await checkPresence(dir, manifest.files)
  const registry = manifestRegistry(manifest)
  const codec = await createCodecOver({ registry, log, nowMs: Date.now }, { namespace: manifest.namespace })
  const check = createFileCheck(dir)
  const groupsOf = (files: Parameters<typeof readGroups>[1], signal?: AbortSignal): AsyncGenerator<Group> =>
    readGroups(dir, files, (file) => check(file, signal))
  return {
    name: dir,
    codec,
    schemaById: registry.schemaById,
    audit(range, reading = {}) {
      const { offsets, resumeAt } = range
      const partitions = [...auditFiles(manifest)].filter(([partition]) => !offsets || offsets.has(partition))
      const files = partitions.flatMap(([, each]) => each)
      reading.onTotal?.(files.reduce((sum, { rows }) => sum + rows, 0))
      reading.onStarts?.(startsOf(manifest))
      const sequences = partitions.map(([partition, each]) =>
        within(groupsOf(each, reading.signal), 'offset', {
          from: Math.max(offsets?.get(partition)?.from ?? 0, resumeAt?.get(partition) ?? 0),
          until: offsets?.get(partition)?.until,
        }),
      )
      return entriesOf(mergeByTime(sequences), { row: toAuditEntry, range, reading })
    },
    results(range, reading = {}) {
      const files = filesOf(manifest, 'results')
      reading.onTotal?.(files.reduce((sum, { rows }) => sum + rows, 0))
      return entriesOf(groupsOf(files, reading.signal), { row: toResultEntry, range: ofTimes(range), reading })
    },
    feedback(range, reading = {}) {
      const files = filesOf(manifest, 'feedback')
      reading.onTotal?.(files.reduce((sum, { rows }) => sum + rows, 0))
      return entriesOf(groupsOf(files, reading.signal), { row: toFeedbackEntry, range: ofTimes(range), reading })
    },
    async *policies() {
      for await (const group of groupsOf(filesOf(manifest, 'policies'))) yield (await group.read()).map(toPolicy)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** Of the log alone: results are exported by their times. */
function startsOf({ range }: Manifest): Map<string, number> {
  return new Map(range.offsets.map(({ partition, from }) => [`agent.audit/${partition}`, from]))
}

interface Bounds {
  from?: number | undefined
  until?: number | undefined
}

/** Leaves out the groups that hold nothing of the range. */
async function* within(groups: AsyncGenerator<Group>, column: string, bounds: Bounds): AsyncGenerator<Group> {
  for await (const group of groups) {
    const held = group.bounds(column)
    if (held && (held.max < (bounds.from ?? 0) || held.min >= (bounds.until ?? Infinity))) continue
    yield group
  }
}

interface Place {
  partition: number
  offset: number
  timestampMs: number
}

async function* entriesOf<Entry extends Place>(
  groups: AsyncGenerator<Group>,
  { row, range, reading }: { row: (row: Row) => Entry; range: SourceRange; reading: SourceReading },
): AsyncGenerator<readonly Entry[]> {
  const { sinceMs, untilMs } = range
  for await (const group of within(groups, 'timestampMs', { from: sinceMs ?? -Infinity, until: untilMs })) {
    reading.signal?.throwIfAborted()
    const rows = await group.read()
    reading.onProgress?.(rows.length)
    const entries = rows.map(row).filter((entry) => isWithin(entry, range))
    if (entries.length > 0) yield entries
  }
}

/** Offsets are those of agent.audit alone. */
function ofTimes({ sinceMs, untilMs }: SourceRange): SourceRange {
  return { sinceMs, untilMs }
}

function isWithin({ partition, offset, timestampMs }: Place, range: SourceRange): boolean {
  const { sinceMs, untilMs, offsets, resumeAt } = range
  if (timestampMs < (sinceMs ?? -Infinity) || timestampMs >= (untilMs ?? Infinity)) return false
  const bounds = offsets?.get(partition)
  const from = Math.max(bounds?.from ?? 0, resumeAt?.get(partition) ?? 0)
  return offset >= from && offset < (bounds?.until ?? Infinity)
}
