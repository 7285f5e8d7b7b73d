import type { ChatRequest } from '#lib/events/chat-request'
import { findMissing } from './missing-arguments.ts'
import { readEvidence, type RequestEvidence } from './request-evidence.ts'
import { coverage, fitAll, readQuery, type Query } from './tool-fit.ts'
import { likeness, serverPrefix } from './tool-likeness.ts'
import { profileOf } from './profile-cache.ts'
import type { ToolProfile } from './tool-profile.ts'

const FULL_PPM = 1_000_000

/** How hard it is to tell which of the offered tools the request calls for, and with what. All in ppm. */
export interface ToolAmbiguity {
  /** The parts below in one figure. */
  ppm: number
  /** Other tools fit the request nearly as well as the best one, or do the same as it. */
  contestPpm: number
  /** How much the one of them that is most like the best one says the same of itself. */
  twinsPpm: number
  /** Arguments that the best tool requires and that nothing in the conversation could fill. */
  missingPpm: number
  /** Not even the best tool speaks of what the request speaks of. */
  noFitPpm: number
}

export const noAmbiguity: ToolAmbiguity = { ppm: 0, contestPpm: 0, twinsPpm: 0, missingPpm: 0, noFitPpm: 0 }

type ToolRequest = Pick<ChatRequest, 'messages' | 'tools' | 'tool_choice'>

/** What the figures are made of, by name: for the offline explanation, never for a record. */
export interface ToolReading {
  /** Names of the tools that may be called, the best fit first. */
  ranking: readonly string[]
  /** Tools that compete with the best one, the strongest first. */
  contenders: readonly { name: string; contest: number; likeness: number }[]
  missing: readonly string[]
  ambiguity: ToolAmbiguity
  profiles: readonly ToolProfile[]
  /** The one that fits best. */
  best: ToolProfile
  /** How well the tools fit, the best one first. */
  fits: readonly number[]
  /** Part of what the best one says of itself that the request speaks of, 0 to 1. */
  coverage: number
  evidence: RequestEvidence
  query: Query
}

/** Shares of the parts at their full, chosen on offers made of half of BFCL: `npm run bench -- tools` measures the other. */
const shares = { contest: 0.9, missing: 0.35, noFit: 0.4 } as const

/** Two tools of one server are alike up to about the first; above the second they do the same. */
const unlikeBelow = 0.45
const twinsFrom = 0.75

/** A tool that fits as well and is quite unlike the best one competes half as much: its description tells it apart. */
const unlikePart = 0.5

/** Two fifths of what the best tool says of itself, in the request too, are a clear fit. */
const clearCoverage = 0.4

/**
 * Computed without a model call from names, descriptions, parameter schemas and the conversation. Linear in their length.
 * Only +, -, ×, / and square roots: equal everywhere.
 */
export function readToolAmbiguity(request: ToolRequest): ToolAmbiguity {
  return readTools(request)?.ambiguity ?? noAmbiguity
}

/** Names of the tools that the request may call, the best fit first. */
export function rankTools(request: ToolRequest): readonly string[] {
  return readTools(request)?.ranking ?? []
}

/** Undefined where there is nothing to choose: no tools, or none to be called. */
export function readTools(request: ToolRequest): ToolReading | undefined {
  const { messages, tool_choice: choice } = request
  const named = typeof choice === 'object' ? choice.function.name : null
  const tools = (request.tools ?? []).filter((tool) => named === null || tool.function.name === named)
  if (tools.length === 0 || choice === 'none') return undefined

  const profiles = tools.map(profileOf)
  const query = readQuery(messages)
  const fits = fitAll(profiles, query)
  const order = profiles.map((_, index) => index).toSorted((a, b) => fits[b]! - fits[a]! || a - b)
  const best = profiles[order[0]!]!
  const bestFit = fits[order[0]!]!

  const server = serverPrefix(profiles)
  let rivals = 0
  let twins = 0
  const contenders: { name: string; contest: number; likeness: number }[] = []
  for (const index of order.slice(1)) {
    const profile = profiles[index]!
    const alike = likeness(best, profile, server)
    const contest = contestOf(bestFit === 0 ? 1 : fits[index]! / bestFit, alike)
    rivals += contest
    twins = Math.max(twins, alike)
    contenders.push({ name: profile.name, contest, likeness: alike })
  }
  const contest = rivals / (1 + rivals)
  const evidence = readEvidence(messages)
  const missing = findMissing(best, query, evidence)
  const covered = coverage(best, query)
  const noFit = named === null ? Math.max(0, 1 - covered / clearCoverage) : 0
  const clear = (1 - shares.contest * contest) * (1 - shares.missing * missing.share) * (1 - shares.noFit * noFit)
  return {
    ranking: order.map((index) => profiles[index]!.name),
    contenders: contenders.toSorted((a, b) => b.contest - a.contest),
    missing: missing.names,
    ambiguity: {
      ppm: toPpm(1 - clear),
      contestPpm: toPpm(contest),
      twinsPpm: toPpm(twins),
      missingPpm: toPpm(missing.share),
      noFitPpm: toPpm(noFit),
    },
    profiles,
    best,
    fits: order.map((index) => fits[index]!),
    coverage: covered,
    evidence,
    query,
  }
}

/**
 * How far a tool competes with the best one, 0 to 1. A twin does, whatever words it uses: where it lacks those of the
 * request it does the same all the same. So does one that fits as well, and more so where the two are alike.
 */
function contestOf(fitRatio: number, alike: number): number {
  const twin = Math.min(1, Math.max(0, (alike - unlikeBelow) / (twinsFrom - unlikeBelow)))
  const squared = fitRatio * fitRatio
  return Math.max(twin, squared * squared * (unlikePart + (1 - unlikePart) * alike))
}

function toPpm(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * FULL_PPM)
}
