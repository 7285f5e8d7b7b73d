import Anthropic from '@anthropic-ai/sdk'
import { fromAnthropicMessage } from './anthropic-answer.ts'
import { toAnthropicRequest } from './anthropic-request.ts'
import type { ChatModel } from './chat-model.ts'
import { createHttpFetch } from './http-fetch.ts'
import { toModelCallError } from './model-call-error.ts'
import { readLimitReport } from './rate-limit-headers.ts'

export interface AnthropicChatOptions {
  apiKey: string
  /** @default Anthropic's own */
  baseUrl?: string | undefined
  /** Time for one call, ms. @default 10 minutes */
  callTimeoutMs?: number
}

// One for all clients: those of a changed policy keep the connections.
const httpFetch = createHttpFetch()

/** Anthropic's Messages API behind OpenAI's request and answer. */
export function createAnthropicChat(options: AnthropicChatOptions): ChatModel {
  const callTimeoutMs = options.callTimeoutMs ?? 600_000
  const client = new Anthropic({
    apiKey: options.apiKey,
    // null: not from the environment, the policy alone says whom a call is billed to.
    authToken: null,
    baseURL: options.baseUrl ?? 'https://api.anthropic.com',
    maxRetries: 0,
    fetch: httpFetch,
    timeout: callTimeoutMs,
    // ANTHROPIC_LOG=debug would print prompts.
    logLevel: 'off',
  })
  return {
    complete: async (request, call) => {
      const body = toAnthropicRequest(request, call)
      try {
        const { data, response } = await client.messages.create(body, { signal: call.signal }).withResponse()
        return { ...fromAnthropicMessage(data, Date.now(), call), limits: readLimitReport(response.headers) }
      } catch (error) {
        throw toModelCallError(error, call.signal)
      }
    },
  }
}
