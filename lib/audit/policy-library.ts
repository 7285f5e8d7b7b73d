import { ShuntError } from '#lib/errors'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { parsePolicyContent } from '#lib/policy/load'
import type { TrainedScorer } from '#lib/policy/policy-store'
import { readTrainedScorer } from '#lib/policy/scorer-file'
import { createScorerAssembly } from '#lib/policy/scorer-parts'
import type { AuditSource } from './source.ts'

/** Policies and scorers that ever decided, by content hash, hex. Each is read and compiled when it is first asked for. */
export interface PolicyLibrary {
  /** Undefined where agent.policies has none whose content gives the hash. */
  policy(hash: string): CompiledPolicy | undefined
  scorer(hash: string): TrainedScorer | undefined
  /** Of all policies, and of all scorers whose parts are there. */
  readonly policyHashes: readonly string[]
  readonly scorerHashes: readonly string[]
  /** What agent.policies holds and nobody can use, with the reason: content that does not give its hash, parts missing. */
  readonly orphans: ReadonlyMap<string, string>
}

/**
 * Reads all of agent.policies. Throws as the source does. A scorer is a few megabytes, and all that ever decided are in the
 * log: of those that nobody will ask for nothing is kept.
 *
 * @param keepsScorer by its hash; the others are as if they were not there. @default all
 */
export async function readPolicyLibrary(
  source: Pick<AuditSource, 'policies'>,
  keepsScorer: (hash: string) => boolean = () => true,
): Promise<PolicyLibrary> {
  const contents = new Map<string, string>()
  const scorers = new Set<string>()
  const assembly = createScorerAssembly()
  const orphans = new Map<string, string>()

  for await (const records of source.policies())
    for (const record of records) {
      const { hash, type } = record
      if (type === 'policy') contents.set(hash, record.content.toString())
      else if (type === 'scorer') {
        if (!keepsScorer(hash)) continue
        const assembled = assembly.add(record)
        if (assembled === 'whole') {
          scorers.add(hash)
          orphans.delete(hash)
        } else if (!scorers.has(hash)) orphans.set(hash, `the scorer is ${assembled}`)
      } else orphans.set(hash, 'neither a policy nor a scorer')
    }

  const usable = <T>(hash: string, read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof ShuntError)) throw error
      orphans.set(hash, error.message)
      return undefined
    }
  }
  return {
    policy: once((hash) => {
      const content = contents.get(hash)
      return content === undefined ? undefined : usable(hash, () => parsePolicyContent(content, hash).policy)
    }),
    scorer: once((hash) => {
      const bytes = assembly.bytesOf(hash)
      return bytes && usable(hash, () => readTrainedScorer(bytes, hash))
    }),
    policyHashes: [...contents.keys()],
    scorerHashes: [...scorers],
    orphans,
  }
}

function once<T>(make: (hash: string) => T): (hash: string) => T {
  const made = new Map<string, T>()
  return (hash) => {
    const known = made.get(hash)
    if (known !== undefined || made.has(hash)) return known as T
    const value = make(hash)
    made.set(hash, value)
    return value
  }
}
