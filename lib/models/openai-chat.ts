import OpenAI from 'openai'
import type { ChatCompletion, ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat'
import type { ChatRequest } from '#lib/events/chat-request'
import type { ChatAnswer, ChatCall, ChatModel } from './chat-model.ts'
import { createHttpFetch } from './http-fetch.ts'
import { ModelCallError, toModelCallError } from './model-call-error.ts'
import { readLimitReport } from './rate-limit-headers.ts'
import { chargedUsage } from './usage.ts'

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
        const { data, response } = await client.chat.completions
          .create(buildBody(request, call, tokenField), { signal: call.signal })
          .withResponse()
        return { ...readAnswer(data, call), limits: readLimitReport(response.headers) }
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

/** A body without usage is an answer only where it can be charged at its bound. */
function readAnswer(completion: ChatCompletion, call: ChatCall): ChatAnswer {
  if (!Array.isArray(completion?.choices)) throw new ModelCallError('malformed', 'the body is no chat completion')
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = completion.usage ?? {}
  const bound = { promptTokens: call.promptTokensBound, maxOutputTokens: call.maxOutputTokens }
  return { completion, ...chargedUsage({ promptTokens, completionTokens }, bound), standIn: false }
}
