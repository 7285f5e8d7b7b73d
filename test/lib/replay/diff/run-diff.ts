import type { LoadedPolicy } from '#lib/policy/load'
import { diffPolicies, type DiffDeps, type DiffOptions, type DiffReport } from '#lib/replay/diff/diff-policies'
import { memorySource, type MemoryLog } from '../../../support/memory-source.ts'

const quiet = { total() {}, at() {}, end() {} }

/** The whole of a log in memory, under another policy. */
export async function runDiff(
  log: MemoryLog,
  next: LoadedPolicy,
  known: readonly LoadedPolicy[],
  { scoreTexts = null, ...options }: Partial<DiffOptions & Pick<DiffDeps, 'scoreTexts'>> = {},
): Promise<DiffReport> {
  const byHash = new Map(known.map(({ hash, policy }) => [hash, policy]))
  await using source = await memorySource(log)
  return await diffPolicies(
    { source, recordedPolicy: (hash) => byHash.get(hash), scoreTexts },
    {
      policy: next,
      range: {},
      wants: () => true,
      signal: new AbortController().signal,
      reading: () => quiet,
      ...options,
    },
  )
}
