import type Anthropic from '@anthropic-ai/sdk'
import type {
  ChatCompletion,
  ChatCompletionMessage,
  ChatCompletionMessageFunctionToolCall,
} from 'openai/resources/chat'
import type { ChatAnswer } from './chat-model.ts'
import { ModelCallError } from './model-call-error.ts'

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
export function fromAnthropicMessage(message: Anthropic.Message, createdAtMs: number): ChatAnswer {
  const usage: unknown = message?.usage
  if (!Array.isArray(message?.content) || typeof usage !== 'object' || usage === null)
    throw new ModelCallError('malformed', 'the body is no message with usage')
  const { input_tokens, cache_creation_input_tokens, cache_read_input_tokens, output_tokens } = message.usage
  const promptTokens = input_tokens + (cache_creation_input_tokens ?? 0) + (cache_read_input_tokens ?? 0)
  if (!Number.isSafeInteger(promptTokens) || !Number.isSafeInteger(output_tokens))
    throw new ModelCallError('malformed', 'the usage does not count tokens')
  const finishReason: FinishReason = finishReasons[message.stop_reason ?? 'end_turn'] ?? 'stop'
  const completion: ChatCompletion = {
    id: message.id,
    object: 'chat.completion',
    created: Math.floor(createdAtMs / 1_000),
    model: message.model,
    choices: [{ index: 0, finish_reason: finishReason, logprobs: null, message: toMessage(message) }],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: output_tokens,
      total_tokens: promptTokens + output_tokens,
    },
  }
  return { completion, promptTokens, completionTokens: output_tokens, standIn: false }
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
