import { readOpenAiRequest, type OpenAiRequest } from './openai-request.ts'
import { startSimulator, type Dialect, type Simulator, type SimulatorOptions } from './model-server.ts'

/** What the simulated model says: text, or calls of tools. */
export interface OpenAiReply {
  content?: string | null
  toolCalls?: { name: string; arguments: string }[]
  finishReason?: 'stop' | 'length' | 'tool_calls' | 'content_filter'
}

export interface OpenAiSimulatorOptions extends SimulatorOptions {
  models?: string[]
  /** @default echoes a short text, or calls the first tool where one must be called */
  reply?: (request: OpenAiRequest) => OpenAiReply
}

/** OpenAI's chat completions over real HTTP, strict about the request. See README.md for what it is and is not. */
export function startOpenAiSimulator(options: OpenAiSimulatorOptions = {}): Promise<Simulator> {
  const { reply = defaultReply, models, ...rest } = options
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
      return { answer: completion(request, reply(request), ++made) }
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

function completion(request: OpenAiRequest, reply: OpenAiReply, number: number): object {
  const prompt = Math.ceil(JSON.stringify(request.messages).length / 4)
  const written = Math.ceil(JSON.stringify(reply).length / 4)
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
        logprobs: null,
        finish_reason: reply.finishReason ?? (calls ? 'tool_calls' : 'stop'),
      },
    ],
    usage: { prompt_tokens: prompt, completion_tokens: written, total_tokens: prompt + written },
  }
}
