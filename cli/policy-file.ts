import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ShuntError } from '#lib/errors'
import { checkPolicy, type LoadedPolicy } from '#lib/policy/load'
import { formatProblem } from '#lib/policy/problems'
import { trainedHashOf } from '#lib/policy/scorer-choice'
import { readScorerFile } from '#lib/policy/scorer-file'
import type { ScorerBytes } from '#lib/policy/scorer-parts'
import type { CliContext } from './context.ts'
import { plural, printable } from './output.ts'

export const samplePolicy = fileURLToPath(new URL('../samples/policy.yaml', import.meta.url))

/** A policy and the trained scorer that it names, where that one is at hand. */
export interface PolicyFile {
  loaded: LoadedPolicy
  scorer: ScorerBytes | null
}

/**
 * Reads a policy that a command needs; `scorerDir` holds the scorer that `use: trained` stands for, this release's
 * otherwise. Undefined where it has problems; each is then on a line of standard error.
 */
export async function readPolicyFile(
  { stderr }: Pick<CliContext, 'stderr'>,
  file: string,
  scorerDir?: string,
): Promise<PolicyFile | undefined> {
  const scorer = readScorerFile(scorerDir)
  const { loaded, problems } = checkPolicy(await readFile(file, 'utf8'), scorer.hash)
  if (loaded) {
    const hash = trainedHashOf(loaded.policy)
    if (hash === scorer.hash) return { loaded, scorer }
    if (scorerDir !== undefined)
      throw new ShuntError(
        'SHUNT_CONFIG_INVALID',
        `--scorer holds ${scorer.hash}, and ${file} names ${hash ?? 'no trained scorer'}: leave one of them out`,
      )
    return { loaded, scorer: null }
  }
  for (const problem of problems) stderr.write(`${printable(formatProblem(file, problem))}\n`)
  stderr.write(`shunt: SHUNT_POLICY_INVALID: ${printable(file)} has ${plural(problems.length, 'problem')}\n`)
  return undefined
}
