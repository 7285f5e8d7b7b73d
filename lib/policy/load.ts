import { LineCounter, parseDocument } from 'yaml'
import { ShuntError } from '#lib/errors'
import { canonicalJson } from './canonical-json.ts'
import { compilePolicy, type CompiledPolicy } from './compile-policy.ts'
import { crossProblems } from './cross-problems.ts'
import { draftPolicy } from './draft-policy.ts'
import { policyHash } from './policy-hash.ts'
import { policyNotes } from './policy-notes.ts'
import { formatProblem, lineOf, type PathProblem, type PolicyProblem } from './problems.ts'
import { withScorerHash } from './scorer-choice.ts'
import { secretProblems } from './secret-problems.ts'
import { shapeProblems } from './shape-problems.ts'

/** A policy that can be put in force. */
export interface LoadedPolicy {
  policy: CompiledPolicy
  /** sha256 over `content`, hex. */
  hash: string
  /** Canonical JSON of the data as given, and the hash of its scorer: what agent.policies keeps. */
  content: string
}

export interface PolicyCheck {
  /** What is wrong, all of it, by line. */
  problems: PolicyProblem[]
  /** What is allowed and may surprise; empty where there are problems. */
  notes: PolicyProblem[]
  /** Null where there are problems. */
  loaded: LoadedPolicy | null
}

/** A record of agent.policies is at most 1 MiB, with room for its envelope. */
const maxContentBytes = 1_000_000

/**
 * Reads a policy.yaml. `scorerHash` names the scorer that `use: trained` stands for where the file gives no hash.
 * Throws SHUNT_POLICY_INVALID with a line `FILE:LINE: path: what is wrong; remedy` a problem.
 */
export function parsePolicy(text: string, fileName: string, scorerHash: string | null = null): LoadedPolicy {
  const { loaded, problems } = checkPolicy(text, scorerHash)
  if (loaded) return loaded
  throw new ShuntError('SHUNT_POLICY_INVALID', problems.map((problem) => formatProblem(fileName, problem)).join('\n'))
}

/** As `parsePolicy`, with problems and notes as values. Never throws. */
export function checkPolicy(text: string, scorerHash: string | null = null): PolicyCheck {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  const located = (problems: PathProblem[]): PolicyProblem[] =>
    problems
      .map((problem) => ({ line: lineOf(document, lines, problem), path: problem.path, message: problem.message }))
      .toSorted((a, b) => a.line - b.line)

  const unreadable = [...document.errors, ...document.warnings].map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    path: [],
    message: `is no valid YAML: ${error.message}`,
  }))
  if (unreadable.length > 0) return { problems: unreadable, notes: [], loaded: null }
  let data: unknown
  try {
    data = document.toJS()
  } catch (error) {
    // An alias without its anchor, or so many aliases that they were made to exhaust memory.
    return { problems: [{ line: 1, path: [], message: `is no valid YAML: ${String(error)}` }], notes: [], loaded: null }
  }

  const { problems, notes, loaded } = checkData(withScorerHash(data, scorerHash))
  return { problems: located(problems), notes: located(notes), loaded }
}

/**
 * Reads the content of a record of agent.policies. Throws SHUNT_POLICY_INVALID where this release cannot read it, and
 * where its hash is not the one it is filed under.
 */
export function parsePolicyContent(content: string, hash: string): LoadedPolicy {
  const refuse = (why: string) => new ShuntError('SHUNT_POLICY_INVALID', `policy ${hash}: ${why}`)
  let data: unknown
  try {
    data = JSON.parse(content)
  } catch {
    throw refuse('is no JSON')
  }
  const { problems, loaded } = checkData(data)
  if (!loaded) throw refuse(problems.map((problem) => formatProblem('', { line: 1, ...problem })).join('; '))
  if (loaded.hash !== hash || loaded.content !== content) throw refuse('its content has another hash')
  return loaded
}

function checkData(data: unknown): { problems: PathProblem[]; notes: PathProblem[]; loaded: LoadedPolicy | null } {
  const secrets = secretProblems(data)
  const hidden = new Set(secrets.map(({ path }) => path.join('/')))
  const draft = draftPolicy(data)
  const problems = [
    ...secrets,
    ...[...shapeProblems(data), ...crossProblems(draft)].filter(({ path }) => !hidden.has(path.join('/'))),
  ]
  if (problems.length > 0 || draft.whole === null) return { problems, notes: [], loaded: null }
  const content = canonicalJson(data)
  const bytes = Buffer.byteLength(content)
  if (bytes > maxContentBytes) {
    const message = `has ${bytes} bytes; keep it under ${maxContentBytes}, so that a Kafka record can hold it`
    return { problems: [{ path: [], message }], notes: [], loaded: null }
  }
  const loaded = { policy: compilePolicy(draft.whole), hash: policyHash(data), content }
  return { problems: [], notes: policyNotes(draft.whole), loaded }
}
