import type { ChatMessage } from '#lib/events/chat-request'
import { writingActions } from './actions.ts'
import { lexemeOf } from './lexicon.ts'
import { textsOf } from './message-text.ts'
import type { ToolProfile } from './tool-profile.ts'
import { eachWord, root } from './words.ts'

/** What a request asks for, in the terms in which tools are described. */
export interface Query {
  words: ReadonlySet<string>
  roots: ReadonlySet<string>
  /** Verb families (actions.ts) of all its words. */
  actions: number
}

/** A user's last message, with the ones before it where it is as short as "yes, please". */
const fewWords = 3

export function readQuery(messages: readonly ChatMessage[]): Query {
  const words = new Set<string>()
  const roots = new Set<string>()
  let actions = 0
  const visit = (word: string) => {
    const lexeme = lexemeOf(word)
    actions |= lexeme.actions
    if (lexeme.isStopWord) return
    words.add(lexeme.term)
    roots.add(lexeme.root)
  }
  for (let i = messages.length - 1; i >= 0 && words.size < fewWords; i--) {
    const message = messages[i]!
    if (message.role === 'user') for (const text of textsOf(message)) eachWord(text, visit)
  }
  return { words, roots, actions }
}

/** A word that only begins as one of the request does is this much of a match. */
const rootPart = 0.5

/** A verb of a family that the request asks for counts as much as one and a half words of a description. */
const actionWeight = 1.5

/** A tool that changes something fits less where the request asks for no such change. */
const unaskedWritePart = 0.8

/** Part of a tool's own length, beside the mean, that its sum is divided by: `b` of BM25 (Robertson and Zaragoza 2009). */
const lengthPart = 0.5

/**
 * Of each tool how well it fits the request: the weights of the words that they share, those higher that few of the other
 * tools have. Comparable within an offer only; 0 or more.
 */
export function fitAll(profiles: readonly ToolProfile[], query: Query): number[] {
  const { length: count } = profiles
  const users = new Map<string, number>()
  let meanLength = 0
  let actionUsers = 0
  for (const profile of profiles) {
    meanLength += profile.length / count
    if (profile.actions & query.actions) actionUsers++
    for (const term of profile.words.keys()) if (matchOf(term, query) > 0) users.set(term, (users.get(term) ?? 0) + 1)
  }
  return profiles.map((profile) => {
    let sum = 0
    for (const [term, weight] of profile.words) {
      const match = matchOf(term, query)
      if (match > 0) sum += match * weight * rarity(users.get(term)!, count)
    }
    if (profile.actions & query.actions) sum += actionWeight * rarity(actionUsers, count)
    else if (profile.actions & writingActions) sum *= unaskedWritePart
    return sum / ((1 - lengthPart) * meanLength + lengthPart * profile.length || 1)
  })
}

/** Part of a term's weight that the request's own words match. */
function matchOf(term: string, query: Query): number {
  if (query.words.has(term)) return 1
  return term.length >= 5 && query.roots.has(root(term)) ? rootPart : 0
}

/** Square root of the odds of not having a word: the inverse document frequency of BM25 without its logarithm. */
function rarity(users: number, count: number): number {
  return Math.sqrt((count - users + 0.5) / (users + 0.5))
}

/** Part of what a tool says of itself that the request speaks of too, 0 to 1. */
export function coverage({ words }: ToolProfile, query: Query): number {
  let matched = 0
  let all = 0
  for (const [term, weight] of words) {
    matched += matchOf(term, query) * weight
    all += weight
  }
  return all === 0 ? 0 : matched / all
}
