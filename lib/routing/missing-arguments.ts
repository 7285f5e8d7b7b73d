import type { RequestEvidence } from './request-evidence.ts'
import type { Query } from './tool-fit.ts'
import type { RequiredArgument, ToolProfile } from './tool-profile.ts'
import { eachWord, root, termOf } from './words.ts'

export interface MissingArguments {
  /** Required arguments that nothing in the conversation could fill. */
  names: readonly string[]
  /** Their part of all required ones, 0 to 1; a choice counts half, for it may be meant by another word. */
  share: number
}

const choicePart = 0.5

/**
 * Numbers are filled by numbers. Other values are filled by what stands out as one, or by words of the request that are
 * not the tool's own: in `read the policy` no word is left for an id. Arguments that the request names are filled first.
 */
export function findMissing(tool: ToolProfile, query: Query, evidence: RequestEvidence): MissingArguments {
  const { required } = tool
  if (required.length === 0) return { names: [], share: 0 }
  const numbers = required.filter(({ kind }) => kind === 'number')
  const values = required.filter(({ kind }) => kind === 'value')
  const choices = required.filter(
    ({ kind, choices }) => kind === 'choice' && !choices.some((choice) => speaksOf(choice, query)),
  )
  const spareNumbers = Math.max(0, evidence.numbers - numbers.length)
  const fillers = Math.max(evidence.values, foreignWords(tool, query, values.length)) + spareNumbers
  const without = [...unfilled(numbers, evidence.numbers, query), ...unfilled(values, fillers, query)]
  return {
    names: [...without, ...choices].map(({ name }) => name),
    share: (without.length + choices.length * choicePart) / required.length,
  }
}

function unfilled(wanted: readonly RequiredArgument[], fillers: number, query: Query): RequiredArgument[] {
  if (fillers >= wanted.length) return []
  const named = wanted.filter(({ name }) => speaksOf(name, query))
  const others = wanted.filter((argument) => !named.includes(argument))
  return [...named, ...others].slice(fillers)
}

/** Words of the request that are not the tool's own, up to `enough`. */
function foreignWords({ roots }: ToolProfile, query: Query, enough: number): number {
  let count = 0
  for (const term of query.words) {
    if (count >= enough) break
    if (!roots.has(root(term))) count++
  }
  return count
}

function speaksOf(text: string, query: Query): boolean {
  let spoken = false
  eachWord(text, (word) => {
    spoken ||= query.words.has(termOf(word))
  })
  return spoken
}
