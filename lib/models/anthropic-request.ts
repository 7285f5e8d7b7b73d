import type Anthropic from '@anthropic-ai/sdk'
import type {
  AssistantMessage,
  ChatMessage,
  ChatRequest,
  ChatTool,
  ChatToolCall,
  InstructionMessage,
  RefusalPart,
  TextPart,
  UserMessage,
} from '#lib/events/chat-request'
import type { ChatCall } from './chat-model.ts'
import { ModelCallError } from './model-call-error.ts'

type Body = Anthropic.MessageCreateParamsNonStreaming
type Message = { role: 'user' | 'assistant'; content: Anthropic.ContentBlockParam[] }

/**
 * OpenAI's request as one of Anthropic's Messages API. Instructions of any place become the system prompt, in their
 * order; messages of one role in a row become one. Hints that only shape sampling (temperature, top_p, penalties, seed,
 * reasoning_effort) are left out: this API's models refuse them or have no such thing.
 * Throws ModelCallError `unsupported` for what changes the answer's form and cannot be asked for: logprobs, and
 * response_format json_object (a json_schema can).
 */
export function toAnthropicRequest(request: ChatRequest, call: Omit<ChatCall, 'signal'>): Body {
  const system = request.messages.flatMap((message) => (isInstruction(message) ? textBlocks(message.content) : []))
  const format = outputFormat(request)
  const stop = typeof request.stop === 'string' ? [request.stop] : request.stop
  if (request.logprobs === true) throw unsupported('logprobs')
  return {
    model: call.model,
    max_tokens: call.maxOutputTokens,
    messages: joinTurns(request.messages),
    ...(system.length > 0 && { system }),
    ...(stop !== undefined && stop.length > 0 && { stop_sequences: stop }),
    ...(request.tools !== undefined && request.tools.length > 0 && toolFields(request, request.tools)),
    ...(format && { output_config: { format } }),
    stream: false,
  }
}

function isInstruction(message: ChatMessage): message is InstructionMessage {
  return message.role === 'system' || message.role === 'developer'
}

function unsupported(what: string): ModelCallError {
  return new ModelCallError('unsupported', `Anthropic's API has no equal of ${what}`)
}

function outputFormat(request: ChatRequest): Anthropic.JSONOutputFormat | undefined {
  const format = request.response_format
  if (format === undefined || format.type === 'text') return undefined
  if (format.type === 'json_object') throw unsupported('response_format json_object (use json_schema)')
  if (format.json_schema.schema === undefined) throw unsupported('response_format json_schema without a schema')
  return { type: 'json_schema', schema: format.json_schema.schema }
}

function toolFields(request: ChatRequest, tools: readonly ChatTool[]): Pick<Body, 'tools' | 'tool_choice'> {
  const toolChoice = toToolChoice(request)
  return {
    tools: tools.map(({ function: tool }) => ({
      name: tool.name,
      ...(tool.description !== undefined && { description: tool.description }),
      input_schema: { ...tool.parameters, type: 'object' as const },
      ...(tool.strict === true && { strict: true }),
    })),
    ...(toolChoice && { tool_choice: toolChoice }),
  }
}

function toToolChoice(request: ChatRequest): Anthropic.ToolChoice | undefined {
  const choice = request.tool_choice ?? 'auto'
  const alone = request.parallel_tool_calls === false ? { disable_parallel_tool_use: true } : {}
  if (choice === 'none') return { type: 'none' }
  if (choice === 'required') return { type: 'any', ...alone }
  if (choice !== 'auto') return { type: 'tool', name: choice.function.name, ...alone }
  return request.parallel_tool_calls === false ? { type: 'auto', ...alone } : undefined
}

/** Results of parallel calls are one user message there, before whatever else the user says. */
function joinTurns(messages: readonly ChatMessage[]): Message[] {
  const turns: Message[] = []
  for (const message of messages) {
    if (isInstruction(message)) continue
    const turn = toTurn(message)
    const last = turns.at(-1)
    if (turn.content.length === 0) continue
    if (last?.role === turn.role) last.content.push(...turn.content)
    else turns.push(turn)
  }
  return turns
}

function toTurn(message: Exclude<ChatMessage, InstructionMessage>): Message {
  if (message.role === 'user') return { role: 'user', content: userBlocks(message.content) }
  if (message.role === 'tool') {
    const content = textBlocks(message.content)
    const result = { type: 'tool_result' as const, tool_use_id: message.tool_call_id }
    return { role: 'user', content: [content.length === 0 ? result : { ...result, content }] }
  }
  const calls = (message.tool_calls ?? []).map(toToolUse)
  return { role: 'assistant', content: [...assistantText(message), ...calls] }
}

function userBlocks(content: UserMessage['content']): Anthropic.ContentBlockParam[] {
  if (typeof content === 'string') return textBlocks(content)
  return content.flatMap<Anthropic.ContentBlockParam>((part) =>
    part.type === 'text' ? textBlocks(part.text) : [toImage(part.image_url.url)],
  )
}

/** Empty texts are left out: the API refuses them. */
function textBlocks(content: string | readonly TextPart[]): Anthropic.TextBlockParam[] {
  const texts = typeof content === 'string' ? [content] : content.map((part) => part.text)
  return texts.flatMap((text) => (text.trim() === '' ? [] : [{ type: 'text', text }]))
}

function assistantText(message: AssistantMessage): Anthropic.TextBlockParam[] {
  const { content } = message
  const parts = typeof content === 'string' ? [content] : (content ?? []).map(textOrRefusal)
  return textBlocks([...parts, message.refusal ?? ''].map((text) => ({ type: 'text', text })))
}

function textOrRefusal(part: TextPart | RefusalPart): string {
  return part.type === 'text' ? part.text : part.refusal
}

/** A trace may hold a call whose arguments do not parse; `input` must be an object, so the text goes in as a member. */
function toToolUse(call: ChatToolCall): Anthropic.ToolUseBlockParam {
  return { type: 'tool_use', id: call.id, name: call.function.name, input: parseArguments(call.function.arguments) }
}

function parseArguments(text: string): object {
  try {
    const value: unknown = text.trim() === '' ? {} : JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Falls through: what does not parse is handed on as it is.
  }
  return { unparsed_arguments: text }
}

const imageUrl = /^data:(image\/(?:png|jpeg|gif|webp));base64,(.*)$/s

function toImage(url: string): Anthropic.ImageBlockParam {
  const [, mediaType, data] = imageUrl.exec(url) ?? []
  if (mediaType === undefined || data === undefined) throw unsupported('an image that is no base64 data URL')
  const media_type = mediaType as Anthropic.Base64ImageSource['media_type']
  return { type: 'image', source: { type: 'base64', media_type, data } }
}
