import OpenAI from 'openai'
import type { ChatCompletion, ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat'
import type { ChatRequest } from '#lib/events/chat-request'
import type { ChatAnswer, ChatCall, ChatModel } from './chat-model.ts'
import { createHttpFetch } from './http-fetch.ts'
import { ModelCallError, toModelCallError } from './model-call-error.ts'

export interface OpenAiChatOptions {
  /** Up to and including /v1. */
  baseUrl: string
  /** Absent for a backend that asks for none. */
  apiKey?: string | undefined
  /**
   * Time for one call, ms.
   * @default 10 minutes
   */
  callTimeoutMs?: number
  /**
   * What the limit on the answer is called. OpenAI's newer models refuse the old name; Ollama knows no other.
   * @default 'max_completion_tokens'
   */
  tokenField?: 'max_tokens' | 'max_completion_tokens'
}

// One for all clients: those of a changed policy keep the connections.
const httpFetch = createHttpFetch()

/** Any server that speaks OpenAI's chat completions: OpenAI, vLLM, SGLang, llama.cpp, Ollama, the embedded one. */
export function createOpenAiChat(options: OpenAiChatOptions): ChatModel {
  const tokenField = options.tokenField ?? 'max_completion_tokens'
  const callTimeoutMs = options.callTimeoutMs ?? 600_000
  const client = new OpenAI({
    baseURL: options.baseUrl,
    apiKey: options.apiKey ?? 'none',
    // Not from the environment: these must follow from the policy alone.
    organization: null,
    project: null,
    adminAPIKey: null,
    maxRetries: 0,
    fetch: httpFetch,
    timeout: callTimeoutMs,
    // OPENAI_LOG=debug would print prompts.
    logLevel: 'off',
  })
  return {
    complete: async (request, call) => {
      try {
        const completion = await client.chat.completions.create(buildBody(request, call, tokenField), {
          signal: call.signal,
        })
        return readAnswer(completion)
      } catch (error) {
        throw toModelCallError(error, call.signal)
      }
    },
  }
}

function buildBody(
  request: ChatRequest,
  call: ChatCall,
  tokenField: 'max_tokens' | 'max_completion_tokens',
): ChatCompletionCreateParamsNonStreaming {
  const { max_tokens: _, max_completion_tokens: __, ...rest } = request as ChatCompletionCreateParamsNonStreaming
  return { ...rest, model: call.model, [tokenField]: call.maxOutputTokens, stream: false }
}

/** A body without usage is no answer: what cannot be counted cannot be settled. */
function readAnswer(completion: ChatCompletion): ChatAnswer {
  const usage: unknown = completion?.usage
  if (!Array.isArray(completion?.choices) || typeof usage !== 'object' || usage === null)
    throw new ModelCallError('malformed', 'the body is no chat completion with usage')
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = completion.usage!
  if (!isCount(promptTokens) || !isCount(completionTokens))
    throw new ModelCallError('malformed', 'the usage does not count tokens')
  return { completion, promptTokens, completionTokens, standIn: false }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
