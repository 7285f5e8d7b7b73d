import { readAnthropicRequest, type AnthropicRequest } from './anthropic-request.ts'
import type { RequestSize } from './provider-account.ts'
import { startSimulator, type Dialect, type Simulator, type SimulatorOptions } from './model-server.ts'

export interface AnthropicReply {
  content: ({ type: 'text'; text: string } | { type: 'tool_use'; id: string; name: string; input: object })[]
  stopReason?: 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use' | 'refusal'
}

export interface AnthropicSimulatorOptions extends SimulatorOptions {
  /** @default echoes a short text, or calls the first tool where one must be called */
  reply?: (request: AnthropicRequest) => AnthropicReply
}

/** Anthropic's Messages API over real HTTP, strict about the request. See README.md for what it is and is not. */
export function startAnthropicSimulator(options: AnthropicSimulatorOptions = {}): Promise<Simulator> {
  const { reply = defaultReply, ...rest } = options
  let made = 0
  const dialect: Dialect = {
    path: '/v1/messages',
    // The SDK sends the key as a bearer token, other clients as x-api-key.
    keyOf: (request) =>
      request.headers['x-api-key']?.toString() ?? /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1],
    error: (_status, kind, message) => ({ type: 'error', error: { type: errorTypes[kind], message } }),
    answer: (body, headers) => {
      if (headers['anthropic-version'] === undefined) return { problem: 'anthropic-version: header is required' }
      const request = readAnthropicRequest(body)
      if ('problem' in request) return request
      const said = reply(request)
      const inputTokens = Math.ceil(JSON.stringify(request.messages).length / 4)
      const used = { inputTokens, outputTokens: Math.ceil(JSON.stringify(said.content).length / 4) }
      const size = { inputTokens, outputTokens: request.max_tokens }
      return { answer: message(request, said, ++made, used), size, used }
    },
  }
  return startSimulator(dialect, rest)
}

const errorTypes = {
  auth: 'authentication_error',
  invalid: 'invalid_request_error',
  rate_limited: 'rate_limit_error',
  server: 'api_error',
}

function defaultReply(request: AnthropicRequest): AnthropicReply {
  const tool = request.tools?.[0]
  if (tool && (request.tool_choice?.type === 'any' || request.tool_choice?.type === 'tool'))
    return { content: [{ type: 'tool_use', id: 'toolu_1', name: tool.name, input: {} }] }
  return { content: [{ type: 'text', text: 'simulated' }] }
}

function message(request: AnthropicRequest, reply: AnthropicReply, number: number, used: RequestSize): object {
  const calls = reply.content.some((block) => block.type === 'tool_use')
  return {
    id: `msg_${number}`,
    type: 'message',
    role: 'assistant',
    model: request.model,
    content: reply.content,
    stop_reason: reply.stopReason ?? (calls ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: {
      input_tokens: used.inputTokens,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: used.outputTokens,
    },
  }
}
