import { randomUUID } from 'node:crypto'
import type { CompletionUsage } from 'openai/resources/completions'
import type { ChatCompletion, ChatCompletionChunk, ChatCompletionTokenLogprob } from 'openai/resources/chat'
import type { AnswerEnd, AnswerStep, Usage } from './answer.ts'
import type { GenerationRequest } from './generation-request.ts'
import type { Piece } from './language-model.ts'

type Asked = Pick<GenerationRequest, 'topLogprobs' | 'streamUsage'>

/** A whole answer as OpenAI's chat.completion. */
export function toCompletion(
  steps: readonly AnswerStep[],
  end: AnswerEnd,
  asked: Asked,
  head: ResponseHead,
): ChatCompletion {
  let content: string | null = null
  const calls: ReturnType<typeof newCall>[] = []
  for (const event of steps.flatMap((step) => step.events)) {
    if (event.type === 'text') content = (content ?? '') + event.text
    else if (event.type === 'call') calls.push(newCall(event.name))
    else calls.at(-1)!.function.arguments += event.text
  }
  const logprobs = { content: toLogprobs(steps.flatMap((step) => step.pieces)), refusal: null }
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.createdS,
    model: head.model,
    choices: [
      {
        index: 0,
        finish_reason: end.finishReason,
        logprobs: asked.topLogprobs === undefined ? null : logprobs,
        message: {
          role: 'assistant',
          content: calls.length === 0 ? (content ?? '') : content,
          refusal: null,
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
        },
      },
    ],
    usage: toUsage(end.usage),
  }
}

/** The same answer as the server-sent events of OpenAI's stream, while it is written. */
export function createChunks(
  asked: Asked,
  head: ResponseHead,
): {
  start: () => string
  step: (step: AnswerStep) => string
  end: (end: AnswerEnd) => string
} {
  const chunk = (
    delta: ChatCompletionChunk.Choice.Delta,
    more: Partial<ChatCompletionChunk.Choice> = {},
  ): ChatCompletionChunk => ({
    id: head.id,
    object: 'chat.completion.chunk',
    created: head.createdS,
    model: head.model,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: null, ...more }],
    ...(asked.streamUsage ? { usage: null } : {}),
  })
  return {
    start: () => toEvent(chunk({ role: 'assistant', content: '', refusal: null })),
    step: ({ events, pieces }) =>
      events
        .map((event, index) => {
          // Tokens ride with the last event that they brought.
          const told = asked.topLogprobs !== undefined && index === events.length - 1
          return toEvent(
            chunk(toDelta(event), told ? { logprobs: { content: toLogprobs(pieces), refusal: null } } : {}),
          )
        })
        .join(''),
    end: ({ finishReason, usage }) => {
      const last = toEvent(chunk({}, { finish_reason: finishReason }))
      const counted = asked.streamUsage ? toEvent({ ...chunk({}), choices: [], usage: toUsage(usage) }) : ''
      return `${last}${counted}data: [DONE]\n\n`
    },
  }
}

export interface ResponseHead {
  id: string
  createdS: number
  model: string
}

export function createHead(model: string, nowMs: number): ResponseHead {
  return { id: `chatcmpl-${randomUUID()}`, createdS: Math.floor(nowMs / 1_000), model }
}

export function toEvent(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

function toDelta(event: AnswerStep['events'][number]): ChatCompletionChunk.Choice.Delta {
  if (event.type === 'text') return { content: event.text }
  if (event.type === 'call') return { tool_calls: [{ index: 0, ...newCall(event.name) }] }
  return { tool_calls: [{ index: 0, function: { arguments: event.text } }] }
}

function newCall(name: string): { id: string; type: 'function'; function: { name: string; arguments: string } } {
  return { id: `call_${randomUUID().replaceAll('-', '')}`, type: 'function', function: { name, arguments: '' } }
}

function toUsage(usage: Usage): CompletionUsage {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  }
}

function toLogprobs(pieces: readonly Piece[]): ChatCompletionTokenLogprob[] {
  return pieces.flatMap(({ text, logprob, top = [] }) => {
    if (logprob === undefined) return []
    return [{ ...toToken(text, logprob), top_logprobs: top.map((one) => toToken(one.text, one.logprob)) }]
  })
}

function toToken(text: string, logprob: number): { token: string; logprob: number; bytes: number[] } {
  return { token: text, logprob, bytes: [...Buffer.from(text)] }
}
