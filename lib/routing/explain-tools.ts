import type { ChatRequest } from '#lib/events/chat-request'
import { readTools } from './tool-ambiguity.ts'

/** A tool that competes less than this is not worth a word. */
const materialContest = 0.15
const namedAtMost = 5

/**
 * The parts of a request's tool ambiguity in sentences, with names of tools and arguments: for one who asks offline, never
 * for a record.
 */
export function explainToolAmbiguity(request: Pick<ChatRequest, 'messages' | 'tools' | 'tool_choice'>): string[] {
  const reading = readTools(request)
  if (!reading) return ['There is no tool to choose.']
  const { ranking, contenders, missing, ambiguity } = reading
  const best = ranking[0]!
  const sentences = [
    `Of ${count(ranking.length, 'tool')}, ${best} fits best; the choice is ${percent(ambiguity.ppm)} ambiguous.`,
  ]

  const rivals = contenders.filter(({ contest }) => contest >= materialContest)
  const named = rivals.slice(0, namedAtMost).map(({ name, likeness }) => `${name} (${percent(likeness * 1e6)} alike)`)
  const more = rivals.length - named.length
  if (rivals.length > 0)
    sentences.push(
      `${count(rivals.length, 'other tool')} ${rivals.length === 1 ? 'competes' : 'compete'} with it: ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`,
    )
  else if (ranking.length > 1) sentences.push('No other tool competes with it.')
  if (missing.length > 0)
    sentences.push(`Nothing in the conversation could fill what it requires: ${missing.join(', ')}.`)
  if (ambiguity.noFitPpm >= 1e6)
    sentences.push('The request speaks of nothing that it speaks of: perhaps no tool fits.')
  else if (ambiguity.noFitPpm > 0)
    sentences.push(`It speaks of more than the request does: ${percent(ambiguity.noFitPpm)} of a clear fit is wanting.`)
  return sentences
}

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`
const percent = (ppm: number) => `${Math.round(ppm / 10_000)} %`
