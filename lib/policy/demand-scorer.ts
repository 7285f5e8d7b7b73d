import { ShuntError } from '#lib/errors'
import type { LoadedPolicy } from './load.ts'
import { createPolicyStore, type PolicyStoreDeps } from './policy-store.ts'
import { trainedHashOf } from './scorer-choice.ts'
import { readTrainedScorer } from './scorer-file.ts'
import type { ScorerBytes } from './scorer-parts.ts'

/**
 * To be asked before a policy is ordered: without its scorer it would never come in force, and a classifier that starts
 * would have none at all. `scorer` is the policy's own, where it is at hand. Throws SHUNT_SCORER_MISSING where it is not,
 * and not in agent.policies either; SHUNT_SCORER_INVALID for bytes that this release cannot read.
 */
export async function demandScorer(
  deps: Omit<PolicyStoreDeps, 'readScorer'>,
  loaded: LoadedPolicy,
  scorer: ScorerBytes | null,
  namespace: string,
): Promise<void> {
  const hash = trainedHashOf(loaded.policy)
  if (hash === null) return
  if (scorer !== null) return void readTrainedScorer(scorer.bytes, scorer.hash)
  await using store = createPolicyStore({ ...deps, readScorer: readTrainedScorer }, { namespace })
  await store.ready()
  if (store.hasScorer(hash)) return
  throw new ShuntError(
    'SHUNT_SCORER_MISSING',
    `the policy names scorer ${hash}, which nobody has published: give its directory with --scorer DIR`,
  )
}
