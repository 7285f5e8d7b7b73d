import type { VerifySummary } from '../../../cli/verify-summary.ts'
import type { Figure } from '../figures.ts'
import type { LogEnd } from './decision-log.ts'
import { measureCommand, memoryFigures, type Measured } from './measured-command.ts'
import type { ReplayBench } from './replay-bench.ts'

/** `shunt replay verify` over 200,000 and over a million decisions. */
export async function verify(bench: ReplayBench): Promise<Figure[]> {
  const { short, whole } = bench
  const small = await verifyUntil(bench, short)
  const large = await verifyUntil(bench, whole)
  const perSecond = large.answer.decisions / large.cpuSeconds
  return [
    {
      name: 'decisions made again',
      key: 'verifyPerSecond',
      value: perSecond,
      unit: 'decisions a second of one core',
      target: { atLeast: 20_000 },
      note: `${large.answer.decisions} decisions in ${large.cpuSeconds.toFixed(1)} s of processor time, ${large.wallSeconds.toFixed(1)} s by the clock`,
    },
    {
      name: 'decisions that did not come out byte for byte',
      key: 'verifyDifferences',
      value: large.answer.decisions - large.answer.same,
      unit: 'decisions',
      target: { atMost: 0 },
    },
    ...memoryFigures({ name: 'memory of a million decisions', key: 'verifyMaxRssMb' }, small, large),
  ]
}

/** `shunt replay verify --features`: facts anew from the steps' texts, the trained scorer's answer among them. */
export async function features(bench: ReplayBench): Promise<Figure[]> {
  const measured = await verifyUntil(bench, bench.withTexts, '--features')
  const { answer, cpuSeconds, wallSeconds, maxRssMb } = measured
  return [
    {
      name: 'decisions made again with their facts',
      key: 'featuresPerSecond',
      value: answer.decisions / cpuSeconds,
      unit: 'decisions a second of one core',
      target: { atLeast: 5_000 },
      note: `${answer.facts?.same} of ${answer.decisions} with the same facts, in ${cpuSeconds.toFixed(1)} s of processor time, ${wallSeconds.toFixed(1)} s by the clock`,
    },
    { name: 'memory with facts', key: 'featuresMaxRssMb', value: maxRssMb, unit: 'MB', target: { atMost: 300 } },
    {
      name: 'facts that came out differently',
      value: answer.decisions - (answer.facts?.same ?? 0),
      unit: 'decisions',
      target: { atMost: 0 },
    },
  ]
}

export function verifyUntil(
  { env }: Pick<ReplayBench, 'env'>,
  { offsets }: LogEnd,
  ...more: string[]
): Promise<Measured<VerifySummary>> {
  const range = [...offsets].flatMap(([partition, end]) => ['--offsets', `${partition}:0-${end}`])
  return measureCommand<VerifySummary>(env, ['replay', 'verify', ...range, ...more])
}
