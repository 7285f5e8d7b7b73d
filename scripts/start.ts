import { readFileSync, readdirSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { resultLine } from '#lib/client/result-line'
import { ShuntError } from '#lib/errors'
import type { StepResult } from '#lib/events/types.generated'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import { describeError } from '#lib/telemetry/logger'
import { formatDuration, printable } from '../cli/output.ts'
import { createProgress } from '../cli/progress.ts'
import { publishSamples } from '../cli/publish-samples.ts'
import { repositoryDir } from '../cli/stack/paths.ts'
import { openRunStack } from '../cli/stack/run-stack.ts'
import { formatSummary, summarise } from '../cli/summary.ts'

// `npm start`: the main job on samples/. A stack of its own, every step published, its result awaited, the summary, and
// everything stopped again. Exits with 0 only when every step has exactly one result.

const samplesDir = join(repositoryDir, 'samples')
const policyFile = join(samplesDir, 'policy.yaml')
const sampleFiles = readdirSync(samplesDir)
  .filter((name) => name.endsWith('.jsonl'))
  .map((name) => join(samplesDir, name))

const stop = stopSignal()
const say = (line: string): void => void process.stderr.write(`${line}\n`)
try {
  const { values } = parseArgs({ options: { results: { type: 'string' } } })
  // Opened first: a path that cannot be written to is told before anything starts.
  await using out = values.results === undefined ? undefined : await open(values.results, 'w')
  process.exitCode = (await run(out)) ? 0 : 1
} catch (error) {
  process.exitCode = stop.aborted ? 130 : 1
  if (!stop.aborted) say(describe(error))
}

async function run(out: FileHandle | undefined): Promise<boolean> {
  const log = pino(
    { level: process.env['SHUNT_LOG_LEVEL'] ?? 'silent', serializers: { err: describeError } },
    pino.destination({ dest: 2, sync: true }),
  )
  const { policy } = parsePolicy(readFileSync(policyFile, 'utf8'), policyFile, readScorerFile().hash)
  const startedAt = performance.now()
  await using stack = await openRunStack({ env: process.env, policyFile, signal: stop, say, log })
  say(`ready after ${formatDuration(performance.now() - startedAt)}; publishing samples/*.jsonl`)

  const publishedAt = performance.now()
  const results: StepResult[] = []
  const progress = createProgress({ stderr: process.stderr }, 'results')
  const report = await publishSamples({
    addresses: stack.addresses,
    namespace: stack.namespace,
    files: sampleFiles,
    signal: AbortSignal.any([stop, stack.failed]),
    progress,
    log,
    onResult(result) {
      if (results.length === 0) progress.say(`first result after ${formatDuration(performance.now() - startedAt)}`)
      results.push(result)
    },
  }).finally(() => progress.end())
  const elapsedMs = performance.now() - publishedAt

  for (const result of results) await out?.write(`${JSON.stringify(resultLine(result))}\n`)
  const lines = formatSummary(summarise(results, { models: policy.models, elapsedMs }))
  process.stdout.write(`\n${lines.join('\n')}\n`)
  const { badLines, failed, missing, second } = report
  for (const { tenantId, stepId } of missing) say(printable(`no result: ${tenantId}/${stepId}`))
  const whole = badLines + failed + missing.length + second === 0
  say(`${whole ? 'every step has one result' : 'NOT every step has exactly one result'}; stopping …`)
  return whole
}

/** Ctrl-C, SIGTERM, a terminal that closes, or a reader of the output that goes: all end in order. Twice: at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  let firstAtMs = 0
  const end = (): void => {
    // One Ctrl-C comes twice: from the terminal, and from npm, which passes it on.
    if (stop.signal.aborted && performance.now() - firstAtMs > 1_000) process.exit(130)
    if (stop.signal.aborted) return
    firstAtMs = performance.now()
    stop.abort()
    process.stderr.write('\nstopping …\n')
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stop.abort())
  return stop.signal
}

function describe(error: unknown): string {
  if (error instanceof ShuntError) return `${error.code}: ${error.message}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
