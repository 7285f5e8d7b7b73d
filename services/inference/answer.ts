import { answerGrammar } from './answer-grammar.ts'
import { createAnswerReader, type AnswerEvent, type AnswerReader } from './answer-reader.ts'
import { contextExceeded, queueFull } from './api-error.ts'
import type { GenerationRequest } from './generation-request.ts'
import type { LanguageModel, Piece, Sequence } from './language-model.ts'
import type { PromptFormat } from './prompt-format.ts'
import type { Slots } from './slots.ts'

export interface AnswerDeps {
  model: Pick<LanguageModel, 'contextTokens' | 'tokenize'>
  slots: Slots<Sequence>
  format: PromptFormat
}

export interface Usage {
  promptTokens: number
  /** Part of promptTokens that was still known from an earlier request. */
  cachedTokens: number
  completionTokens: number
}

/** Events that belong together, with the tokens that were written for them. */
export interface AnswerStep {
  events: AnswerEvent[]
  pieces: Piece[]
}

export interface AnswerEnd {
  finishReason: 'stop' | 'length' | 'tool_calls'
  usage: Usage
}

export type Answer = AsyncGenerator<AnswerStep, AnswerEnd>

/**
 * Waits for a sequence and writes the answer on it. Before its first step it throws an ApiError where the prompt does
 * not fit (400) or the queue is full (429), and the signal's reason whenever that is aborted. Once begun it holds the
 * sequence until it has been read to its end or returned.
 */
export async function* writeAnswer(deps: AnswerDeps, request: GenerationRequest, signal: AbortSignal): Answer {
  const prompt = deps.format(request)
  const tokens = deps.model.tokenize(prompt.segments)
  const { contextTokens } = deps.model
  const spare = contextTokens - tokens.length
  if (spare < (request.maxTokens ?? 1)) throw contextExceeded(tokens.length, request.maxTokens ?? 1, contextTokens)
  const { sampling, topLogprobs } = request
  const grammar = answerGrammar(prompt.form, request)
  const options = { sampling, topLogprobs, grammar, maxTokens: request.maxTokens ?? spare }
  const lease = await deps.slots.acquire((sequence) => affinity(sequence.cachedTokens(tokens), tokens.length), signal)
  if (lease === undefined) throw queueFull(deps.slots.retryAfterSeconds())
  try {
    const usage = { promptTokens: tokens.length, cachedTokens: lease.slot.cachedTokens(tokens), completionTokens: 0 }
    const reader = createAnswerReader(prompt.form, [...prompt.stop, ...request.stop])
    return yield* readAnswer(lease.slot.generate(tokens, options, signal), reader, usage)
  } finally {
    lease.release()
  }
}

/** A few tokens in common (every prompt begins alike) are not worth the loss of what another prompt left behind. */
function affinity(cachedTokens: number, promptTokens: number): number {
  return cachedTokens * 4 < promptTokens ? 0 : cachedTokens
}

async function* readAnswer(
  written: AsyncGenerator<Piece, 'end' | 'length'>,
  reader: AnswerReader,
  usage: Usage,
): Answer {
  let called = false
  let pieces: Piece[] = []
  try {
    for (;;) {
      const next = await written.next()
      if (next.done === true) {
        const events = reader.finish()
        if (events.length > 0) yield { events, pieces }
        const ended = called ? 'tool_calls' : 'stop'
        return { finishReason: next.value === 'length' ? 'length' : ended, usage }
      }
      usage.completionTokens++
      pieces.push(next.value)
      const { events, ended } = reader.push(next.value.text)
      called ||= events.some((event) => event.type === 'call')
      if (events.length > 0) {
        yield { events, pieces }
        pieces = []
      }
      if (ended) return { finishReason: 'stop', usage }
    }
  } finally {
    await written.return('end')
  }
}
