import { readFile } from 'node:fs/promises'
import { checkPolicy, type LoadedPolicy } from '#lib/policy/load'
import { formatProblem } from '#lib/policy/problems'
import type { CliContext } from './context.ts'
import { plural, printable } from './output.ts'

/** Reads a policy that a command needs. Undefined where it has problems; each is then on a line of standard error. */
export async function readPolicyFile(
  { stderr }: Pick<CliContext, 'stderr'>,
  file: string,
): Promise<LoadedPolicy | undefined> {
  const { loaded, problems } = checkPolicy(await readFile(file, 'utf8'))
  if (loaded) return loaded
  for (const problem of problems) stderr.write(`${printable(formatProblem(file, problem))}\n`)
  stderr.write(`shunt: SHUNT_POLICY_INVALID: ${printable(file)} has ${plural(problems.length, 'problem')}\n`)
  return undefined
}
