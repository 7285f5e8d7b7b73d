import { readOpenAiRequest, type OpenAiRequest } from './openai-request.ts'
import type { RequestSize } from './provider-account.ts'
import { startSimulator, type Dialect, type Simulator, type SimulatorOptions } from './model-server.ts'

/** What the simulated model says: text, or calls of tools. */
export interface OpenAiReply {
  content?: string | null
  toolCalls?: { name: string; arguments: string }[]
  finishReason?: 'stop' | 'length' | 'tool_calls' | 'content_filter'
  /** Of the one token that the content is, told where the request asks for logprobs. @default 1 */
  probability?: number
}

export interface OpenAiSimulatorOptions extends SimulatorOptions {
  models?: string[]
  /** @default echoes a short text, or calls the first tool where one must be called */
  reply?: (request: OpenAiRequest) => OpenAiReply
  /** Tokens of an answer in parts per million of the most that it may have. @default as long as its text */
  answerSharePpm?: number
}

/** OpenAI's chat completions over real HTTP, strict about the request. See README.md for what it is and is not. */
export function startOpenAiSimulator(options: OpenAiSimulatorOptions = {}): Promise<Simulator> {
  const { reply = defaultReply, models, answerSharePpm, ...rest } = options
  let made = 0
  const dialect: Dialect = {
    path: '/v1/chat/completions',
    keyOf: (request) => /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1],
    error: (status, kind, message) => ({
      error: { message, type: errorTypes[kind], param: null, code: status === 429 ? 'rate_limit_exceeded' : null },
    }),
    answer: (body) => {
      const request = readOpenAiRequest(body)
      if ('problem' in request) return request
      if (models !== undefined && !models.includes(request.model))
        return { problem: `The model '${request.model}' does not exist or you do not have access to it.` }
      const said = reply(request)
      const inputTokens = Math.ceil(JSON.stringify(request.messages).length / 4)
      const most = request.max_completion_tokens ?? request.max_tokens ?? 4_096
      const written =
        answerSharePpm === undefined
          ? Math.ceil(JSON.stringify(said).length / 4)
          : Math.ceil((most * answerSharePpm) / 1_000_000)
      const used = { inputTokens, outputTokens: written }
      return { answer: completion(request, said, ++made, used), size: { inputTokens, outputTokens: most }, used }
    },
    models: () => ({ object: 'list', data: (models ?? ['simulated']).map((id) => ({ id, object: 'model' })) }),
  }
  return startSimulator(dialect, rest)
}

const errorTypes = {
  auth: 'invalid_request_error',
  invalid: 'invalid_request_error',
  rate_limited: 'requests',
  server: 'server_error',
}

function defaultReply(request: OpenAiRequest): OpenAiReply {
  const tool = request.tools?.[0]
  if (tool && request.tool_choice !== undefined && request.tool_choice !== 'auto' && request.tool_choice !== 'none')
    return { toolCalls: [{ name: tool.function.name, arguments: '{}' }] }
  return { content: 'simulated' }
}

function completion(request: OpenAiRequest, reply: OpenAiReply, number: number, used: RequestSize): object {
  const calls = reply.toolCalls?.map((call, index) => ({
    id: `call_${number}_${index}`,
    type: 'function',
    function: call,
  }))
  return {
    id: `chatcmpl-${number}`,
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1_000),
    model: request.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: reply.content ?? null,
          refusal: null,
          ...(calls && { tool_calls: calls }),
        },
        logprobs: request.logprobs === true ? { content: [toToken(reply)], refusal: null } : null,
        finish_reason: reply.finishReason ?? (calls ? 'tool_calls' : 'stop'),
      },
    ],
    usage: {
      prompt_tokens: used.inputTokens,
      completion_tokens: used.outputTokens,
      total_tokens: used.inputTokens + used.outputTokens,
    },
  }
}

function toToken({ content, probability = 1 }: OpenAiReply): object {
  const token = content ?? ''
  return { token, logprob: Math.log(probability), bytes: [...Buffer.from(token)], top_logprobs: [] }
}
