import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repositoryDir } from '../../../cli/stack/paths.ts'
import type { Figure } from '../figures.ts'

/** What a command printed, and what it took. */
export interface Measured<T> {
  answer: T
  exitCode: number
  wallSeconds: number
  /** Of all its threads, user and system. */
  cpuSeconds: number
  /** Highest resident memory. */
  maxRssMb: number
}

/** Runs `shunt ARGS --json` as a process of its own. Rejects where it printed no JSON. */
export async function measureCommand<T>(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<Measured<T>> {
  const dir = mkdtempSync(join(tmpdir(), 'shunt-bench-'))
  const usageFile = join(dir, 'usage.json')
  const reporter = join(import.meta.dirname, 'report-usage.ts')
  const startedAtMs = performance.now()
  try {
    const { promise, resolve } = Promise.withResolvers<{ exitCode: number; stdout: string; stderr: string }>()
    execFile(
      process.execPath,
      ['--import', reporter, join(repositoryDir, 'cli', 'main.ts'), ...args, '--json'],
      { env: { ...process.env, ...env, BENCH_USAGE_FILE: usageFile }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => resolve({ exitCode: error ? Number(error.code) : 0, stdout, stderr }),
    )
    const { exitCode, stdout, stderr } = await promise
    const wallSeconds = (performance.now() - startedAtMs) / 1_000
    if (!stdout.startsWith('{'))
      throw new Error(`shunt ${args.join(' ')} ended with ${exitCode}: ${stderr.slice(-1_000)}`)
    const usage = JSON.parse(readFileSync(usageFile, 'utf8')) as { cpuSeconds: number; maxRssMb: number }
    return { answer: JSON.parse(stdout) as T, exitCode, wallSeconds, ...usage }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Memory of a command over a million decisions, and how it grew from 200,000. */
export function memoryFigures(
  named: Pick<Figure, 'name' | 'key'>,
  small: Pick<Measured<unknown>, 'maxRssMb'>,
  large: Pick<Measured<unknown>, 'maxRssMb'>,
): Figure[] {
  return [
    { ...named, value: large.maxRssMb, unit: 'MB', target: { atMost: 300 } },
    {
      name: 'that memory, of the one of 200,000 decisions',
      value: large.maxRssMb / small.maxRssMb,
      unit: 'times',
      target: { atMost: 1.1 },
      note: `${small.maxRssMb.toFixed(0)} and ${large.maxRssMb.toFixed(0)} MB`,
    },
  ]
}
