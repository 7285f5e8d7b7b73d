import { readFile } from 'node:fs/promises'
import { marksOf, readAnchors, readPublicKey } from '#lib/audit/anchors'
import type { ChainMark } from '#lib/audit/chain-marks'
import { readManifest, type Manifest } from '#lib/audit/export/manifest'
import { createFindings, findingOf, type Report } from '#lib/audit/findings'
import { readLaneMarks } from '#lib/audit/lane-marks'
import { verifyLog, type VerifyLogOptions } from '#lib/audit/verify-log'
import { ShuntError } from '#lib/errors'
import { openSource } from '../audit-source.ts'
import { formatAuditSummary, type AuditSummary } from '../audit-summary.ts'
import { connectionOf, type AddCommand, type CliContext } from '../context.ts'
import { durationOption, wholeNumber } from '../options.ts'
import { writeJson, writeLines } from '../output.ts'
import { createProgress, type Progress } from '../progress.ts'
import { timeOption, timesOf, type TimeOption } from '../range-options.ts'
import { exitCodes } from '../report-error.ts'

interface VerifyFlags {
  since?: TimeOption
  until?: TimeOption
  anchors?: string
  publicKey?: string
  from?: string
  steps: boolean
  openFor: number
  findings: number
  json?: true
}

export const addAuditVerifyCommand: AddCommand = (audit, run) => {
  audit
    .command('verify')
    .description('the log against itself, its anchors and its lanes; and every step: exit 1 when something is wrong')
    .option('--since <time>', 'records of this time and later: a duration ago, or ISO 8601', timeOption)
    .option('--until <time>', 'records before this time', timeOption)
    .option('--anchors <file>', 'of `shunt audit anchor`')
    .option('--public-key <file>', 'of who anchored')
    .option('--from <dir>', 'an export of `shunt audit export`, in place of Kafka')
    .option('--no-steps', 'chains, policies and scorers alone')
    .addOption(durationOption('--open-for <duration>', 'a step without an end is open so long', '1d'))
    .option('--findings <n>', 'list so many at most; all are counted', wholeNumber(0, 100_000), 20)
    .option('--json', 'print the summary as JSON')
    .action(
      run(async (context, flags: VerifyFlags) => {
        const nowMs = Date.now()
        const range = timesOf(flags, nowMs)
        const findings = createFindings(flags.findings)
        await using source = await openSource(context, flags)
        const copy = flags.from === undefined ? null : await readManifest(flags.from)
        const namespace = copy?.namespace ?? connectionOf(context).config.namespace
        const anchors = await anchorMarks(flags, namespace, findings.report)
        const lanes = !copy && flags.until === undefined ? await laneMarks(context, nowMs) : null
        const readings = createReadings(context)
        const startedAtMs = performance.now()
        const found = await verifyLog(source, {
          ...readings,
          range,
          copy: copy ? copyOf(copy) : undefined,
          marks: [...anchors, ...(lanes?.marks ?? [])],
          committed: lanes ? async () => (await laneMarks(context, nowMs)).committed : undefined,
          steps: flags.steps,
          openForMs: flags.openFor,
          report: findings.report,
          nowMs: Date.now,
          signal: context.signal,
        }).finally(() => readings.end())
        const { heads: _heads, positions: _positions, ...counts } = found
        const summary: AuditSummary = {
          source: source.name,
          ...counts,
          anchoredLinks: anchors.length,
          lanes: lanes?.marks.length ?? null,
          lanesUnknown: lanes?.unreadable ?? [],
          linksPerSecond: Math.round((counts.links * 1_000) / Math.max(1, performance.now() - startedAtMs)),
          findings: findings.count(),
          first: findings.first(),
          listed: findings.kept,
        }
        if (flags.json) writeJson(context, summary)
        else writeLines(context, formatAuditSummary(summary))
        return summary.findings === 0 ? exitCodes.ok : exitCodes.failed
      }),
    )
}

function copyOf({ range: { offsets, sinceMs } }: Manifest): VerifyLogOptions['copy'] {
  return {
    ends: new Map(offsets.map(({ partition, until }) => [partition, until ?? Infinity])),
    sinceMs: sinceMs ?? undefined,
  }
}

async function anchorMarks(flags: VerifyFlags, namespace: string, report: Report): Promise<ChainMark[]> {
  const { anchors, publicKey } = flags
  if ((anchors === undefined) !== (publicKey === undefined))
    throw new ShuntError('SHUNT_CONFIG_INVALID', 'give --anchors and --public-key together')
  if (anchors === undefined || publicKey === undefined) return []
  const key = readPublicKey(await readFile(publicKey, 'utf8'), publicKey)
  const { anchors: read } = readAnchors(await readFile(anchors, 'utf8'), { publicKey: key, namespace, report })
  // Whoever gives anchors wants the log compared with them: a file that was emptied must not pass for that.
  if (read.length === 0) report(findingOf('anchor_unreadable', `no line of ${anchors} is an anchor that can be used`))
  return marksOf(read)
}

function laneMarks(context: CliContext, nowMs: number) {
  const { kafka, config } = connectionOf(context)
  return readLaneMarks({ kafka }, config.namespace, nowMs)
}

/** One progress after the other. */
function createReadings(context: CliContext) {
  let current: { what: string; total: number; progress: Progress } | null = null
  const end = (): void => {
    current?.progress.end()
    current = null
  }
  return {
    end,
    onReading(what: string, entries: number): void {
      if (current?.what !== what) {
        end()
        current = {
          what,
          total: 0,
          progress: createProgress(context, what === 'steps' ? 'joining steps' : `reading ${what}`),
        }
      }
      current.progress.total((current.total += entries))
    },
    onEntry: (): void => current?.progress.step(),
  }
}
