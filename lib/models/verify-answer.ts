import type { ChatCompletion, ChatCompletionCreateParams, ChatCompletionMessageToolCall } from 'openai/resources/chat'
import type { Verdict } from './verdicts.ts'

/** The part of a request that an answer can be held against. */
export type AnswerableRequest = Pick<ChatCompletionCreateParams, 'tools' | 'tool_choice' | 'response_format'>

export interface Verification {
  verdict: Verdict
  /** For a person and for the audit: names places and counts, never prompt or answer text. Null when ok. */
  detail: string | null
}

/**
 * Holds the first choice of an answer against its request, by structure alone: finish reason, tools, JSON. Pure.
 * Whatever a backend sends is taken: what is no chat completion gets the verdict response_malformed, never a throw.
 */
export function verifyAnswer(request: AnswerableRequest, completion: ChatCompletion): Verification {
  const choice = Array.isArray(completion?.choices) ? completion.choices[0] : undefined
  if (choice?.message === undefined || choice.message === null)
    return failed('response_malformed', 'the response has no choice with a message')
  const { message } = choice
  if (choice.finish_reason === 'content_filter') return failed('content_filtered', 'finish_reason is content_filter')
  if (choice.finish_reason === 'length')
    return failed('truncated', `cut after ${completion.usage?.completion_tokens ?? 'an unknown number of'} tokens`)
  if (isText(message.refusal)) return failed('refused', 'the message carries a refusal')
  const calls = message.tool_calls ?? []
  if (!Array.isArray(calls)) return failed('response_malformed', 'tool_calls is no list')
  const tools = verifyToolCalls(request, calls)
  if (tools !== undefined) return tools
  if (calls.length > 0) return ok
  if (!isText(message.content)) return failed('empty', 'no text and no tool call')
  return verifyFormat(request, message.content)
}

const ok: Verification = { verdict: 'ok', detail: null }
const failed = (verdict: Verdict, detail: string): Verification => ({ verdict, detail })

function verifyToolCalls(
  request: AnswerableRequest,
  calls: readonly ChatCompletionMessageToolCall[],
): Verification | undefined {
  const { demanded, names } = readToolChoice(request)
  if (calls.length === 0) {
    if (!demanded) return undefined
    return failed('tool_expected', 'tool_choice demands a tool call, none was made')
  }
  if (request.tool_choice === 'none') return failed('tool_unexpected', `tool_choice is none, ${calls.length} called`)
  const offered = new Set(request.tools?.flatMap((tool) => (tool.type === 'function' ? [tool.function.name] : [])))
  for (const [index, call] of calls.entries()) {
    const place = `tool call ${index + 1} of ${calls.length}`
    if (call?.type !== 'function' || !offered.has(call.function?.name))
      return failed('unknown_tool', `${place} names none of the ${offered.size} tools offered`)
    if (names !== undefined && !names.has(call.function.name))
      return failed('tool_expected', `${place} is not among the tools that tool_choice names`)
    if (!isJsonObject(call.function.arguments))
      return failed('arguments_malformed', `the arguments of ${place} are not a JSON object`)
  }
  return undefined
}

/** Whether a call must be made, and among which names where tool_choice narrows the tools. */
function readToolChoice(request: AnswerableRequest): { demanded: boolean; names?: ReadonlySet<unknown> } {
  const choice = request.tool_choice
  if (typeof choice !== 'object' || choice === null) return { demanded: choice === 'required' }
  if (choice.type === 'function') return { demanded: true, names: new Set([choice.function.name]) }
  if (choice.type !== 'allowed_tools') return { demanded: true }
  const { mode, tools } = choice.allowed_tools
  return { demanded: mode === 'required', names: new Set(tools.map((tool) => nameOf(tool))) }
}

function nameOf(tool: Record<string, unknown>): unknown {
  const { function: named } = tool
  return typeof named === 'object' && named !== null && 'name' in named ? named.name : undefined
}

function verifyFormat(request: AnswerableRequest, content: string): Verification {
  const format = request.response_format?.type ?? 'text'
  if (format === 'text' || isJsonObject(content)) return ok
  return failed('format_mismatch', `response_format is ${format}, the answer is not a JSON object`)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function isJsonObject(text: unknown): boolean {
  if (typeof text !== 'string') return false
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
