import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DiffReport } from '#lib/replay/diff/diff-policies'
import type { Figure } from '../figures.ts'
import type { LogEnd } from './decision-log.ts'
import { measureCommand, memoryFigures, type Measured } from './measured-command.ts'
import type { ReplayBench } from './replay-bench.ts'

/** `shunt replay diff` over 200,000 and over a million decisions: a policy that escalates sooner, and caps every task. */
export async function diff(bench: ReplayBench): Promise<Figure[]> {
  const sooner = { 'gainPpm: 150000': 'gainPpm: 20000', 'pSuccessPpm: 500000': 'pSuccessPpm: 800000' }
  const small = await diffUntil(bench, bench.short, sooner)
  const large = await diffUntil(bench, null, sooner)
  const perSecond = (of: Measured<DiffReport>): number => of.answer.decisions / of.cpuSeconds
  const { moved, decisions } = large.answer
  return [
    {
      name: 'decisions made again by another policy',
      key: 'diffPerSecond',
      value: perSecond(large),
      unit: 'decisions a second of one core',
      target: { atLeast: 20_000 },
      note: `${decisions} decisions, ${moved.tier + moved.model} moved, in ${large.cpuSeconds.toFixed(1)} s of processor time, ${large.wallSeconds.toFixed(1)} s by the clock`,
    },
    ...memoryFigures({ name: 'memory of a diff of a million decisions', key: 'diffMaxRssMb' }, small, large),
  ]
}

/** The same with another scorer: each text is read and scored anew. */
export async function diffScores(bench: ReplayBench): Promise<Figure[]> {
  const { answer, cpuSeconds, wallSeconds, maxRssMb } = await diffUntil(bench, bench.withTexts, {
    'scorer: { use: trained }': 'scorer: { use: hand_weighted }',
  })
  return [
    {
      name: 'decisions made again by another policy with another scorer',
      key: 'diffScoresPerSecond',
      value: answer.scores.anew / cpuSeconds,
      unit: 'decisions a second of one core',
      target: { atLeast: 5_000 },
      note: `${answer.scores.anew} of ${answer.decisions} scored anew, in ${cpuSeconds.toFixed(1)} s of processor time, ${wallSeconds.toFixed(1)} s by the clock`,
    },
    { name: 'memory of that', key: 'diffScoresMaxRssMb', value: maxRssMb, unit: 'MB', target: { atMost: 300 } },
  ]
}

/** Decisions up to there, with what came of them by then; null: the whole log. */
async function diffUntil(
  { env }: Pick<ReplayBench, 'env'>,
  end: LogEnd | null,
  changes: Readonly<Record<string, string>>,
): Promise<Measured<DiffReport>> {
  const dir = mkdtempSync(join(tmpdir(), 'shunt-bench-policy-'))
  try {
    let text = readFileSync(new URL('../../../samples/policy.yaml', import.meta.url), 'utf8')
    for (const [from, to] of Object.entries(changes)) text = text.replace(from, to)
    const policy = join(dir, 'policy.yaml')
    writeFileSync(policy, text)
    const range = end === null ? [] : ['--until', new Date(end.atMs).toISOString()]
    return await measureCommand<DiffReport>(env, ['replay', 'diff', '--policy', policy, ...range])
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
