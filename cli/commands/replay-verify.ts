import { readPolicyLibrary, type PolicyLibrary } from '#lib/audit/policy-library'
import type { AuditSource } from '#lib/audit/source'
import { withAdmin } from '#lib/client/topic-range'
import { newVerification, readCheckpoint, writeCheckpoint, type Verification } from '#lib/replay/checkpoint'
import { createFactCheck } from '#lib/replay/verify-facts'
import { verifyDecisions, type Finding } from '#lib/replay/verify-decisions'
import { openSource } from '../audit-source.ts'
import { connectionOf, type AddCommand, type CliContext } from '../context.ts'
import { openKeptTexts } from '../kept-texts.ts'
import { writeJson, writeLines } from '../output.ts'
import { createProgress } from '../progress.ts'
import { addRangeOptions, filterOf, rangeOf, type RangeFlags } from '../range-options.ts'
import { exitCodes } from '../report-error.ts'
import { formatVerifySummary, isClean, type VerifySummary } from '../verify-summary.ts'

interface VerifyFlags extends RangeFlags {
  from?: string
  features?: true
  resume?: string
  json?: true
}

/** Of these the first are kept and told; all are counted. */
const mostFindings = 100
/** Between two checkpoints, ms. */
const checkpointEveryMs = 5_000

export const addReplayVerifyCommand: AddCommand = (replay, run) => {
  addRangeOptions(
    replay
      .command('verify')
      .description('make every recorded decision again, byte for byte; exit 1 where one does not come out')
      .option('--from <dir>', 'an export of `shunt audit export`, in place of Kafka')
      .option('--features', "recompute the facts too, from the steps' texts where they are still kept")
      .option('--resume <file>', 'checkpoint: go on where a verification stopped, and note how far this one is'),
  )
    .option('--json', 'print the summary as JSON')
    .action(run(verify))
}

async function verify(context: CliContext, flags: VerifyFlags): Promise<number> {
  await using source = await openSource(context, flags)
  const question = await questionOf(context, source.name, flags)
  const saved = flags.resume === undefined ? undefined : await readCheckpoint(flags.resume, question)
  const verification = saved ?? newVerification(question, Date.now(), flags.features === true)
  const library = await readPolicyLibrary(source, () => flags.features === true)
  const startedAtMs = performance.now()
  const { decisions: before } = verification.counts
  const complete = await verifyOn(context, flags, { source, library, verification })
  const seconds = (performance.now() - startedAtMs) / 1_000
  const { counts, facts, findings } = verification
  const summary: VerifySummary = {
    source: source.name,
    complete,
    ...counts,
    facts,
    perSecond: Math.round((counts.decisions - before) / seconds),
    findings,
  }
  if (flags.json) writeJson(context, summary)
  else writeLines(context, formatVerifySummary(summary))
  if (!complete) return exitCodes.interrupted
  return isClean(summary) ? exitCodes.ok : exitCodes.failed
}

/** Verifies to the end, or to Ctrl-C; false there. */
async function verifyOn(
  context: CliContext,
  flags: VerifyFlags,
  { source, library, verification }: { source: AuditSource; library: PolicyLibrary; verification: Verification },
): Promise<boolean> {
  const progress = createProgress(context, 'records of the audit', { rate: true })
  const save = flags.resume
  const onFinding = (finding: Finding): void => {
    if (verification.findings.length < mostFindings) verification.findings.push(finding)
  }
  await using kept = verification.facts && openKeptTexts(context)
  let records = 0
  let savedAtMs = performance.now()
  try {
    await verifyDecisions(source, library, {
      range: rangeOf(flags, verification.startedAtMs),
      filter: filterOf(flags),
      progress: verification,
      signal: context.signal,
      onTotal: progress.total,
      onFinding,
      alsoCheck:
        verification.facts && kept
          ? createFactCheck(
              { codec: source.codec, library, ...kept },
              { counts: verification.facts, onFinding, signal: context.signal },
            )
          : undefined,
      onProgress: (count) => progress.at((records += count)),
      async onBatch() {
        if (save === undefined || performance.now() - savedAtMs < checkpointEveryMs) return
        await writeCheckpoint(save, verification)
        savedAtMs = performance.now()
      },
    })
    return true
  } catch (error) {
    if (!context.signal.aborted) throw error
    return false
  } finally {
    progress.end()
    if (save !== undefined) await writeCheckpoint(save, verification)
  }
}

/**
 * What two runs have in common that verify the same. The cluster is told by its own id: topics of one name lie in many,
 * and what was done in one would be taken for done in another.
 */
async function questionOf(context: CliContext, sourceName: string, flags: VerifyFlags): Promise<string> {
  const { resume, json: _json, since, until, ...asked } = flags
  const times = [since, until].map((time) => time && { ago: time(0) < 0, ms: time(0) })
  const isOfKafka = resume !== undefined && flags.from === undefined
  const cluster =
    isOfKafka && (await withAdmin(connectionOf(context), [], (admin) => admin.describeCluster())).clusterId
  return JSON.stringify({ source: sourceName, ...(cluster && { cluster }), ...asked, times })
}
