import type { PathProblem } from './problems.ts'

/** Forms of well-known keys and tokens. A policy is published and kept for ever: one that holds a key is refused. */
const secretForms = [
  /\b(sk|pk|rk|gsk|xai|hf|glpat|ghp|gho|ghs|github_pat|xox[abprs])[-_][A-Za-z0-9_-]{16,}/,
  /\b(AKIA|ASIA)[0-9A-Z]{16}\b/,
  /\bAIza[0-9A-Za-z_-]{30,}/,
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\./,
  /\bBearer\s+\S{16,}/i,
]

/** Texts that are keys or hold one. The message never repeats them. */
export function secretProblems(data: unknown): PathProblem[] {
  const problems: PathProblem[] = []
  const visit = (value: unknown, path: (string | number)[]): void => {
    if (typeof value === 'string') {
      const problem = secretProblem(value)
      if (problem !== null) problems.push({ path, message: problem })
    } else if (Array.isArray(value)) value.forEach((item, index) => visit(item, [...path, index]))
    else if (typeof value === 'object' && value !== null)
      for (const [key, member] of Object.entries(value)) visit(member, [...path, key])
  }
  visit(data, [])
  return problems
}

function secretProblem(text: string): string | null {
  if (secretForms.some((form) => form.test(text)))
    return 'looks like a secret key; put it in an environment variable and name that in apiKeyEnv (and revoke this one)'
  if (!URL.canParse(text)) return null
  const { username, password, searchParams } = new URL(text)
  if (username !== '' || password !== '')
    return 'holds credentials; put the key in an environment variable and name that in apiKeyEnv'
  for (const name of searchParams.keys())
    if (/key|token|secret|password|sig/i.test(name))
      return `holds a credential in its query (${name}); put it in an environment variable and name that in apiKeyEnv`
  return null
}
