import type { LedgerSnapshot } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { share, type Shift } from './threshold.ts'

/** What the shifts are at a failure rate of one, where the policy does not say, ppm. */
const defaults = { task: 250_000, tool: 250_000, kind: 100_000, model: 200_000 }

/** By how much sooner a step escalates after failures of other steps: the policy's shift, in proportion to their rate. */
export function failureShifts(
  { failuresPpm }: Pick<LedgerSnapshot, 'failuresPpm'>,
  { threshold, index }: Pick<CompiledPolicy, 'threshold' | 'index'>,
): Shift[] {
  if (failuresPpm === null) return []
  const rate = (name: string) => failuresPpm[name] ?? 0
  let tool = 0
  let kind = 0
  for (const [name, ppm] of Object.entries(failuresPpm)) {
    if (name.startsWith('tool:')) tool = Math.max(tool, ppm)
    if (name.startsWith('kind:')) kind = Math.max(kind, ppm)
  }
  // The best of the open models: where one fails, another may take the step.
  const models = index.byTier.oss.map(({ model }) => rate(`model:${model.id}`))
  const shifts: Shift[] = [
    { name: 'task_failures', ppm: share(threshold.taskFailuresPpm ?? defaults.task, rate('task')) },
    { name: 'tool_failures', ppm: share(threshold.toolFailuresPpm ?? defaults.tool, tool) },
    { name: 'kind_failures', ppm: share(threshold.kindFailuresPpm ?? defaults.kind, kind) },
    {
      name: 'model_failures',
      ppm: share(threshold.modelFailuresPpm ?? defaults.model, Math.min(...models, 1_000_000)),
    },
  ]
  return shifts.filter(({ ppm }) => ppm > 0)
}
