import type { ChatCompletion, ChatCompletionMessage, ChatCompletionMessageToolCall } from 'openai/resources/chat'
import { failed, type AnswerableRequest, type Verification } from './verification.ts'

/** A part of an answer that has a schema, which only ajv can hold it against. */
export interface SchemaClaim {
  schema: object
  /** Parses. */
  json: string
  /** What it is when it does not fit. */
  verdict: 'arguments_invalid' | 'schema_mismatch'
  /** For a detail. */
  place: string
}

/** What is left to look at once the form is right. */
export interface WellFormed {
  message: ChatCompletionMessage
  /** The answer's text where it is one: no tool call, and no JSON was asked for. */
  plainText: string | null
  claims: SchemaClaim[]
}

/**
 * Holds the first choice of an answer against its request, by structure alone: finish reason, tools, JSON. Pure.
 * Whatever a backend sends is taken: what is no chat completion gets the verdict response_malformed, never a throw.
 */
export function checkStructure(request: AnswerableRequest, completion: ChatCompletion): Verification | WellFormed {
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
  const claims = checkToolCalls(request, calls)
  if (!Array.isArray(claims)) return claims
  if (calls.length > 0) return { message, plainText: null, claims }
  if (!isText(message.content)) return failed('empty', 'no text and no tool call')
  return checkFormat(request, message, message.content)
}

function checkToolCalls(
  request: AnswerableRequest,
  calls: readonly ChatCompletionMessageToolCall[],
): Verification | SchemaClaim[] {
  const { demanded, names } = readToolChoice(request)
  if (calls.length === 0)
    return demanded ? failed('tool_expected', 'tool_choice demands a tool call, none was made') : []
  if (request.tool_choice === 'none') return failed('tool_unexpected', `tool_choice is none, ${calls.length} called`)
  const offered = new Map(
    request.tools?.flatMap((tool) => (tool.type === 'function' ? [[tool.function.name, tool]] : [])),
  )
  const claims: SchemaClaim[] = []
  for (const [index, call] of calls.entries()) {
    const place = `tool call ${index + 1} of ${calls.length}`
    const tool = call?.type === 'function' ? offered.get(call.function?.name) : undefined
    if (call?.type !== 'function' || tool === undefined)
      return failed('unknown_tool', `${place} names none of the ${offered.size} tools offered`)
    if (names !== undefined && !names.has(call.function.name))
      return failed('tool_expected', `${place} is not among the tools that tool_choice names`)
    const json = call.function.arguments
    if (!isObject(parse(json))) return failed('arguments_malformed', `the arguments of ${place} are not a JSON object`)
    const schema = tool.function.parameters
    if (isObject(schema))
      claims.push({ schema, json, verdict: 'arguments_invalid', place: `the arguments of ${place}` })
  }
  return claims
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

/** Any JSON value can fit a schema; without one it must be an object. */
function checkFormat(
  request: AnswerableRequest,
  message: ChatCompletionMessage,
  content: string,
): Verification | WellFormed {
  const format = request.response_format ?? { type: 'text' }
  if (format.type === 'text') return { message, plainText: content, claims: [] }
  const schema = format.type === 'json_schema' ? format.json_schema.schema : undefined
  const value = parse(content)
  if (value === undefined) return failed('format_mismatch', `response_format is ${format.type}, the answer is not JSON`)
  if (isObject(schema)) {
    const claim = { schema, json: content, verdict: 'schema_mismatch', place: 'the answer' } as const
    return { message, plainText: null, claims: [claim] }
  }
  if (isObject(value)) return { message, plainText: null, claims: [] }
  return failed('format_mismatch', `response_format is ${format.type}, the answer is not a JSON object`)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** undefined where it is no JSON text. */
function parse(text: unknown): unknown {
  if (typeof text !== 'string') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
