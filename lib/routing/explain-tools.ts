import type { ChatRequest } from '#lib/events/chat-request'
import { readTools } from './tool-ambiguity.ts'

/** A tool that competes less than this is not worth a word. */
const materialContest = 0.15
const namedAtMost = 5

/** So much of a clear fit may be wanting without a word. */
const tolerableNoFitPpm = 250_000

/**
 * The parts of a request's tool ambiguity in sentences, with names of tools and arguments: for one who asks offline, never
 * for a record.
 */
export function explainToolAmbiguity(request: Pick<ChatRequest, 'messages' | 'tools' | 'tool_choice'>): string[] {
  const reading = readTools(request)
  if (!reading) return ['There is no tool to choose.']
  const { ranking, contenders, missing, ambiguity } = reading
  const best = ranking[0]!
  const certainty = `the choice is ${percent(ambiguity.ppm)} ambiguous.`
  const sentences = [
    ranking.length === 1
      ? `${best} is the only tool; ${certainty}`
      : `Of ${ranking.length} tools, ${best} fits best; ${certainty}`,
  ]
  const rivals = contenders.filter(({ contest }) => contest >= materialContest)
  const named = rivals
    .slice(0, namedAtMost)
    .map(({ name, likeness }) => `${name} (${percent(likeness * 1_000_000)} alike)`)
  const more = rivals.length - named.length
  if (rivals.length === 1) sentences.push(`Another tool competes with it: ${named.join('')}.`)
  else if (rivals.length > 1)
    sentences.push(
      `${rivals.length} others compete with it: ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`,
    )
  else if (ranking.length > 1) sentences.push('No other tool competes with it.')
  if (missing.length > 0)
    sentences.push(`Nothing in the conversation could fill what ${best} requires: ${missing.join(', ')}.`)
  if (ambiguity.noFitPpm >= 1_000_000)
    sentences.push(`The request speaks of nothing that ${best} is for: perhaps no tool fits.`)
  else if (ambiguity.noFitPpm > tolerableNoFitPpm)
    sentences.push(`The request speaks of little of what ${best} is for.`)
  return sentences
}

const percent = (ppm: number) => `${Math.round(ppm / 10_000)} %`
