import type { KeyObject } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { anchorLog, type AnchoredLog } from '#lib/audit/anchor-log'
import { readPrivateKey } from '#lib/audit/anchors'
import { createFindings, type Finding } from '#lib/audit/findings'
import { isRetryable } from '#lib/errors'
import { openSource } from '../audit-source.ts'
import { connectionOf, type AddCommand, type CliContext } from '../context.ts'
import { duration } from '../options.ts'
import { formatTime, plural, printable, writeJson, writeLines } from '../output.ts'
import { createProgress } from '../progress.ts'
import { exitCodes, messageOf } from '../report-error.ts'

interface AnchorFlags {
  key: string
  out: string
  every?: number
  json?: true
}

/** Of the findings of one anchor so many are told; `shunt audit verify` tells all. */
const told = 10

export const addAuditAnchorCommand: AddCommand = (audit, run) => {
  audit
    .command('anchor')
    .description('sign where every chain stands, after verifying what was written since the last time')
    .requiredOption('--key <file>', 'private key of `shunt audit keygen`')
    .requiredOption(
      '--out <file>',
      'anchors, a line each; a line is appended. Keep it where the log’s writers cannot write',
    )
    .option('--every <duration>', 'again and again, until Ctrl-C', duration)
    .option('--json', 'print each anchor as a line of JSON')
    .action(
      run(async (context, flags: AnchorFlags) => {
        const privateKey = readPrivateKey(await readFile(flags.key, 'utf8'), flags.key)
        if (flags.every === undefined) return await anchorOnce(context, flags, privateKey)
        let worst: number = exitCodes.ok
        while (!context.signal.aborted) {
          try {
            worst = Math.max(worst, await anchorOnce(context, flags, privateKey))
          } catch (error) {
            // What is not reachable now is anchored the next time.
            if (!isRetryable(error)) throw error
            context.stderr.write(`${messageOf(error)}\n`)
          }
          await sleep(flags.every, undefined, { signal: context.signal }).catch(() => {})
        }
        return worst
      }),
    )
}

async function anchorOnce(context: CliContext, flags: AnchorFlags, privateKey: KeyObject): Promise<number> {
  const { out, json } = flags
  const { namespace } = connectionOf(context).config
  await using source = await openSource(context)
  const findings = createFindings(told)
  const progress = createProgress(context, 'reading audit')
  const anchored = await anchorLog(source, {
    namespace,
    privateKey,
    before: await contentOf(out),
    report: findings.report,
    nowMs: Date.now,
    signal: context.signal,
    onReading: (_what, entries) => progress.total(entries),
    onEntry: () => progress.step(),
  }).finally(() => progress.end())
  await appendLine(out, anchored.line)
  if (json) writeJson(context, summaryOf(anchored, findings.count(), findings.kept))
  else writeLines(context, linesOf(out, anchored, findings.count(), findings.kept))
  return findings.count() === 0 ? exitCodes.ok : exitCodes.failed
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

/** In one write, and on the disk before it is told: after a crash the file has the whole line or none of it. */
async function appendLine(file: string, line: string): Promise<void> {
  await using handle = await open(file, 'a', 0o644)
  await handle.write(line)
  await handle.sync()
}

function summaryOf({ anchor, links, heldBack }: AnchoredLog, findings: number, listed: readonly Finding[]) {
  return { atMs: anchor.atMs, chains: anchor.heads.length, links, heldBack, findings, listed }
}

function linesOf(out: string, { anchor, links, heldBack }: AnchoredLog, count: number, listed: readonly Finding[]) {
  return [
    `${formatTime(anchor.atMs)} ${plural(anchor.heads.length, 'chain')} anchored in ${out}, ${plural(links, 'link')} verified`,
    ...(count > 0
      ? [plural(count, 'finding'), ...listed.map(({ code, message }) => `  ${code}: ${printable(message)}`)]
      : []),
    ...heldBack.map((chainId) => `not anchored any further: ${printable(chainId)}`),
  ]
}
