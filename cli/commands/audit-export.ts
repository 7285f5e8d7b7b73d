import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Option } from 'commander'
import { exportRange } from '#lib/audit/export/export-range'
import { manifestName, readManifest, type Manifest } from '#lib/audit/export/manifest'
import { gapsBetween, rangeAfter } from '#lib/audit/export/succession'
import { writeExport } from '#lib/audit/export/write-export'
import { keepHeapSmall } from '#lib/service/heap-flags'
import { openSource } from '../audit-source.ts'
import { connectionOf, type AddCommand } from '../context.ts'
import { formatTable, plural, printable, writeJson, writeLines } from '../output.ts'
import { createProgress } from '../progress.ts'
import { exitCodes } from '../report-error.ts'
import { timeOption, timesOf, type TimeOption } from '../range-options.ts'

interface ExportFlags {
  out: string
  since?: TimeOption
  until?: TimeOption
  after?: string
  json?: true
}

export const addAuditExportCommand: AddCommand = (audit, run) => {
  audit
    .command('export')
    .description('the log as Parquet files, to keep and to query: verify and replay read them by --from')
    .requiredOption('--out <dir>', 'a directory that is new or empty')
    .option('--since <time>', 'records of this time and later: a duration ago, or ISO 8601', timeOption)
    .option('--until <time>', 'records before this time (default: all that is committed)', timeOption)
    .addOption(
      new Option('--after <dir>', 'go on where this export ended, and see that its chains join').conflicts('since'),
    )
    .option('--json', 'print the summary as JSON')
    .action(
      run(async (context, { out, since, until, after, json }: ExportFlags) => {
        const nowMs = Date.now()
        const { config, kafka } = connectionOf(context)
        await using source = await openSource(context)
        // Rows are held until their group is written.
        keepHeapSmall(2)
        const earlier = after === undefined ? null : await readManifest(after)
        const times = timesOf({ since, until }, nowMs)
        const range = await exportRange({ kafka }, config.namespace, times)
        const manifest = await writeExport(source, {
          dir: out,
          namespace: config.namespace,
          earlier,
          range: earlier ? rangeAfter(earlier, range) : range,
          createdBy: `shunt ${audit.parent?.version() ?? ''}`.trim(),
          nowMs: Date.now,
          signal: context.signal,
          reading: (what) => createProgress(context, `reading ${what}`),
        })
        const gaps = earlier ? gapsBetween(earlier, manifest) : []
        const summary = { ...(await summaryOf(out, manifest)), gaps }
        if (json) writeJson(context, summary)
        else writeLines(context, linesOf(summary))
        return gaps.length > 0 ? exitCodes.failed : exitCodes.ok
      }),
    )
}

type Summary = Awaited<ReturnType<typeof summaryOf>> & {
  /** Where it does not go on as the one before it ended. */
  gaps: string[]
}

async function summaryOf(out: string, manifest: Manifest) {
  const { rows, files, undecodable, undecodableBodies, partitions, chains } = manifest
  const bytes = sum(files.map((file) => file.bytes))
  const steps = rows['outcomes'] ?? 0
  const tables = Object.entries(rows).map(([table, count]) => {
    const own = files.filter(({ path }) => path.startsWith(`${table}/`))
    return { table, rows: count, files: own.length, bytes: sum(own.map((file) => file.bytes)) }
  })
  return {
    out,
    records: rows['audit'] ?? 0,
    steps,
    files: files.length,
    bytes,
    /** Of the files, all tables; null where no step ended. */
    bytesPerStep: steps > 0 ? Math.round(bytes / steps) : null,
    tables,
    undecodable,
    undecodableBodies,
    partitions: partitions.length,
    chains: chains.length,
    /** Kept apart from the export, it proves that no file of it was changed. */
    manifestSha256: createHash('sha256')
      .update(await readFile(join(out, manifestName)))
      .digest('hex'),
  }
}

function linesOf(summary: Summary): string[] {
  const { out, records, steps, bytes, bytesPerStep, undecodable, undecodableBodies, manifestSha256 } = summary
  return [
    ...formatTable(
      [
        { title: 'table', value: ({ table }) => table },
        { title: 'rows', align: 'right', value: ({ rows }) => String(rows) },
        { title: 'files', align: 'right', value: ({ files }) => String(files) },
        { title: 'MB', align: 'right', value: (table) => megabytes(table.bytes) },
      ],
      summary.tables,
    ),
    `${plural(records, 'record')} of the audit, ${plural(steps, 'step')} that ended, ${megabytes(bytes)} MB in ${printable(out)}` +
      (bytesPerStep === null ? '' : `: ${bytesPerStep} bytes a step`),
    ...(undecodable > 0
      ? [`${plural(undecodable, 'record')} cannot be decoded: kept as bytes, see column "problem"`]
      : []),
    ...(undecodableBodies > 0
      ? [`the bodies of ${plural(undecodableBodies, 'record')} cannot be decoded: they are in table audit alone`]
      : []),
    ...summary.gaps.map((gap) => printable(`not joined: ${gap}`)),
    `${manifestName}: sha256 ${manifestSha256}; note it elsewhere, it vouches for every file`,
  ]
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
