import type { ChatMessage, ChatRequest } from '#lib/events/chat-request'
import { textsOf } from './message-text.ts'
import { readEvidence, type RequestEvidence } from './request-evidence.ts'
import { profileTool, type ToolProfile } from './tool-profile.ts'
import { addWords } from './words.ts'

const FULL_PPM = 1_000_000

/** How hard it is to tell which of the offered tools the request calls for, and with what. All in ppm. */
export interface ToolAmbiguity {
  /** The parts below in one figure. */
  ppm: number
  /** Other tools fit the request nearly as well as the best one. */
  contestPpm: number
  /** Those others say nearly the same of themselves as the best one. */
  twinsPpm: number
  /** Arguments that the best tool requires and that nothing in the conversation could fill. */
  missingPpm: number
  /** Not even the best tool speaks of what the request speaks of. */
  noFitPpm: number
}

export const noAmbiguity: ToolAmbiguity = { ppm: 0, contestPpm: 0, twinsPpm: 0, missingPpm: 0, noFitPpm: 0 }

/** Shares of the parts when they are at their full: chosen on the groups of BFCL, where the right tool is known. */
const shares = { contest: 0.9, missing: 0.35, noFit: 0.45 } as const

/** Contenders that say quite other things of themselves are told apart more easily: this part is off. */
const unlikePart = 0.4

/** Contenders that are compared with the best tool for likeness. Bounds the cost: the rest fit worse than all of these. */
const maxContenders = 8

/** A fit at or above it is a clear one: a name's word and a description's word in common. */
const clearFit = 0.45

/**
 * Computed without a model call from names, descriptions, parameter schemas and the conversation. Linear in their
 * length but for the contenders' likeness, which is bounded. Only +, -, ×, / and square roots: equal everywhere.
 */
export function readToolAmbiguity(request: Pick<ChatRequest, 'messages' | 'tools' | 'tool_choice'>): ToolAmbiguity {
  const { messages, tool_choice: choice } = request
  const named = typeof choice === 'object' ? choice.function.name : null
  const tools = (request.tools ?? []).filter((tool) => named === null || tool.function.name === named)
  if (tools.length === 0 || choice === 'none') return noAmbiguity

  const profiles = tools.map(profileTool)
  const query = queryWords(messages)
  const fits = fitAll(profiles, query)
  const order = profiles.map((_, index) => index).toSorted((a, b) => fits[b]! - fits[a]! || a - b)
  const best = profiles[order[0]!]!
  const bestFit = fits[order[0]!]!

  let contenders = 0
  let twins = 0
  for (const [place, index] of order.entries()) {
    if (place === 0) continue
    const ratio = bestFit === 0 ? 1 : fits[index]! / bestFit
    contenders += ratio * ratio * ratio * ratio
    if (place <= maxContenders) twins = Math.max(twins, ratio * likeness(best, profiles[index]!))
  }
  const contest = contenders / (1 + contenders)
  const missing = missingShare(best, query, readEvidence(messages))
  const noFit = named === null ? 1 - Math.min(1, bestFit / clearFit) : 0
  const clear =
    (1 - shares.contest * contest * (1 - unlikePart * (1 - twins))) *
    (1 - shares.missing * missing) *
    (1 - shares.noFit * noFit)
  return {
    ppm: toPpm(1 - clear),
    contestPpm: toPpm(contest),
    twinsPpm: toPpm(twins),
    missingPpm: toPpm(missing),
    noFitPpm: toPpm(noFit),
  }
}

/** A user's last message, with the ones before it where it is as short as "yes, please". */
const fewWords = 3

function queryWords(messages: readonly ChatMessage[]): ReadonlySet<string> {
  const words = new Set<string>()
  for (let i = messages.length - 1; i >= 0 && words.size < fewWords; i--) {
    const message = messages[i]!
    if (message.role === 'user') for (const text of textsOf(message)) addWords(text, (stem) => words.add(stem))
  }
  return words
}

/** Of each tool: the weight of the words it shares with the request, rarer ones more, over its length. */
function fitAll(profiles: readonly ToolProfile[], query: ReadonlySet<string>): number[] {
  const sharers = new Map<string, number>()
  const shared = profiles.map(({ words }) => {
    const found: { word: string; weight: number }[] = []
    for (const [word, weight] of words) {
      if (!query.has(word)) continue
      found.push({ word, weight })
      sharers.set(word, (sharers.get(word) ?? 0) + 1)
    }
    return found
  })
  return shared.map((found, index) => {
    let fit = 0
    for (const { word, weight } of found) fit += weight * (1 + (profiles.length - sharers.get(word)!) / profiles.length)
    return fit / (profiles[index]!.length || 1)
  })
}

/** Cosine of two tools' words. */
function likeness(a: ToolProfile, b: ToolProfile): number {
  let product = 0
  for (const [word, weight] of a.words) product += weight * (b.words.get(word) ?? 0)
  return product / (a.length * b.length || 1)
}

function missingShare({ required }: ToolProfile, query: ReadonlySet<string>, evidence: RequestEvidence): number {
  const total = required.numbers + required.values + required.choices.length
  if (total === 0) return 0
  let missing = Math.max(0, required.numbers - evidence.numbers)
  // A value may be any word of the request; one that stands out as a value is better evidence than one that does not.
  missing += Math.max(0, required.values - evidence.values - Math.floor(query.size / 3))
  for (const choices of required.choices) if (!choices.some((choice) => isMentioned(choice, query))) missing += 0.5
  return Math.min(1, missing / total)
}

function isMentioned(choice: string, query: ReadonlySet<string>): boolean {
  let mentioned = false
  addWords(choice, (stem) => {
    if (query.has(stem)) mentioned = true
  })
  return mentioned
}

function toPpm(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * FULL_PPM)
}
