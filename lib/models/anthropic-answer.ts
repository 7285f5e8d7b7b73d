import type Anthropic from '@anthropic-ai/sdk'
import type {
  ChatCompletion,
  ChatCompletionMessage,
  ChatCompletionMessageFunctionToolCall,
} from 'openai/resources/chat'
import type { ChatAnswer, ChatCall } from './chat-model.ts'
import { ModelCallError } from './model-call-error.ts'
import { chargedUsage } from './usage.ts'

type FinishReason = ChatCompletion.Choice['finish_reason']

const finishReasons = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  /** Only server tools pause, and none is ever offered. */
  pause_turn: 'stop',
  tool_use: 'tool_calls',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  refusal: 'stop',
} as const satisfies Record<Anthropic.StopReason, FinishReason>

/**
 * Anthropic's message as OpenAI's chat completion. Thinking is left out; a refusal becomes `message.refusal`.
 * Prompt tokens are all that were read, cached ones too. Throws ModelCallError `malformed`.
 */
export function fromAnthropicMessage(
  message: Anthropic.Message,
  createdAtMs: number,
  call: Pick<ChatCall, 'promptTokensBound' | 'maxOutputTokens'>,
): ChatAnswer {
  if (!Array.isArray(message?.content)) throw new ModelCallError('malformed', 'the body is no message')
  const charged = chargedUsage(countsOf(message.usage), {
    promptTokens: call.promptTokensBound,
    maxOutputTokens: call.maxOutputTokens,
  })
  const { promptTokens, completionTokens } = charged
  const finishReason: FinishReason = finishReasons[message.stop_reason ?? 'end_turn'] ?? 'stop'
  const completion: ChatCompletion = {
    id: message.id,
    object: 'chat.completion',
    created: Math.floor(createdAtMs / 1_000),
    model: message.model,
    choices: [{ index: 0, finish_reason: finishReason, logprobs: null, message: toMessage(message) }],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    },
  }
  return { completion, ...charged, standIn: false }
}

function countsOf(usage: Anthropic.Usage | undefined): { promptTokens: unknown; completionTokens: unknown } {
  if (!usage) return { promptTokens: undefined, completionTokens: undefined }
  const { input_tokens, cache_creation_input_tokens, cache_read_input_tokens, output_tokens } = usage
  const parts = [input_tokens, cache_creation_input_tokens ?? 0, cache_read_input_tokens ?? 0]
  // One that is negative must not vanish in a sum.
  const promptTokens = parts.some((part) => !(part >= 0)) ? Number.NaN : parts.reduce((sum, part) => sum + part)
  return { promptTokens, completionTokens: output_tokens }
}

function toMessage(message: Anthropic.Message): ChatCompletionMessage {
  const text = message.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('')
  const calls = message.content.flatMap((block) => (block.type === 'tool_use' ? [toToolCall(block)] : []))
  const refused = message.stop_reason === 'refusal'
  return {
    role: 'assistant',
    content: text === '' || refused ? null : text,
    refusal: refused ? (message.stop_details?.explanation ?? (text || 'The model declined to answer.')) : null,
    ...(calls.length > 0 && { tool_calls: calls }),
  }
}

function toToolCall(block: Anthropic.ToolUseBlock): ChatCompletionMessageFunctionToolCall {
  return { id: block.id, type: 'function', function: { name: block.name, arguments: JSON.stringify(block.input) } }
}
