import {
  reasoningEfforts,
  type ChatMessage,
  type ChatRequest,
  type ChatResponseFormat,
  type ChatTool,
  type ChatToolCall,
  type RefusalPart,
  type TextPart,
} from '#lib/events/chat-request'
import { isObject } from '#lib/events/from-json'

/** What features read of a request. */
export type LabelRequest = Pick<
  ChatRequest,
  | 'messages'
  | 'tools'
  | 'tool_choice'
  | 'parallel_tool_calls'
  | 'response_format'
  | 'max_tokens'
  | 'max_completion_tokens'
  | 'reasoning_effort'
>

type JsonObject = Record<string, unknown>

/**
 * A request as labels have it, in the form that features read. Why not the allow-list of the pipeline? Labels come from
 * data sets and logs of other systems: tool names with dots, schemas with types of other languages, roles of old APIs.
 * A scorer must learn from such a step, nobody will send it to a model. What cannot be read is left out, part by part;
 * only without messages, or with one whose role or content is of no known form, is there nothing to learn from.
 * Returns the problem as text then.
 */
export function readLabelRequest(value: unknown): LabelRequest | string {
  if (!isObject(value)) return 'request must be an object'
  const { messages } = value
  if (!Array.isArray(messages) || messages.length === 0)
    return 'request.messages must be an array of at least one message'
  const read: ChatMessage[] = []
  for (let i = 0; i < messages.length; i++) {
    const message = readMessage(messages[i], `request.messages[${i}]`)
    if (typeof message === 'string') return message
    read.push(message)
  }
  const tools = readTools(value['tools'] ?? value['functions'])
  return {
    messages: read,
    ...(tools.length > 0 && { tools, ...readToolSettings(value) }),
    ...readAnswerSettings(value),
  }
}

function readMessage(value: unknown, path: string): ChatMessage | string {
  if (!isObject(value)) return `${path} must be an object`
  const { role } = value
  if (typeof role !== 'string') return `${path}.role must be a string`
  const content = readContent(value['content'])
  if (content === undefined) return `${path}.content must be a string, an array of parts or null`
  switch (role) {
    case 'system':
    case 'developer':
      return { role, content: only(content, 'text') ?? '' }
    case 'assistant':
    case 'model': {
      const calls = readCalls(value)
      const { refusal } = value
      return {
        role: 'assistant',
        content: only(content, 'text', 'refusal'),
        ...(typeof refusal === 'string' && { refusal }),
        ...(calls.length > 0 && { tool_calls: calls }),
      }
    }
    case 'tool':
    case 'function': {
      const id = value['tool_call_id'] ?? value['name']
      return { role: 'tool', content: only(content, 'text') ?? '', tool_call_id: typeof id === 'string' ? id : '' }
    }
    default:
      // Who else speaks, speaks to the model.
      return { role: 'user', content: only(content, 'text', 'image_url') ?? '' }
  }
}

type ImagePart = { type: 'image_url'; image_url: { url: string } }
type Part = TextPart | RefusalPart | ImagePart

function readContent(value: unknown): string | Part[] | null | undefined {
  if (value === undefined || value === null) return null
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return undefined
  return value.flatMap((part: unknown): Part[] => {
    if (typeof part === 'string') return [{ type: 'text', text: part }]
    if (!isObject(part)) return []
    const { type, text, refusal, image_url: image } = part
    if (typeof text === 'string') return [{ type: 'text', text }]
    if (type === 'refusal' && typeof refusal === 'string') return [{ type, refusal }]
    const url = isObject(image) ? image['url'] : image
    return type === 'image_url' && typeof url === 'string' ? [{ type, image_url: { url } }] : []
  })
}

/** The content without the parts that a message of its role cannot have. */
function only<T extends Part['type']>(
  content: string | Part[] | null,
  ...types: T[]
): string | Extract<Part, { type: T }>[] | null {
  if (typeof content === 'string' || content === null) return content
  return content.filter((part): part is Extract<Part, { type: T }> => types.some((type) => type === part.type))
}

/** Calls of today's form and the one of before. */
function readCalls(message: JsonObject): ChatToolCall[] {
  const { tool_calls: calls, function_call: single } = message
  const all: unknown[] = Array.isArray(calls) ? calls : isObject(single) ? [{ function: single }] : []
  return all.flatMap((call): ChatToolCall[] => {
    const called = isObject(call) ? call['function'] : undefined
    if (!isObject(call) || !isObject(called)) return []
    const { name, arguments: given } = called
    if (typeof name !== 'string' || name === '') return []
    const id = call['id'] ?? (single === undefined ? '' : name)
    return [
      {
        id: typeof id === 'string' ? id : '',
        type: 'function',
        function: { name, arguments: typeof given === 'string' ? given : JSON.stringify(given ?? {}) },
      },
    ]
  })
}

/** Function tools, wrapped or bare. One without a name is none; of the others a malformed part is left out. */
function readTools(value: unknown): ChatTool[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((tool: unknown): ChatTool[] => {
    const definition = isObject(tool) && isObject(tool['function']) ? tool['function'] : tool
    if (!isObject(definition)) return []
    const { name, description, parameters } = definition
    if (typeof name !== 'string' || name === '') return []
    return [
      {
        type: 'function',
        function: {
          name,
          ...(typeof description === 'string' && { description }),
          ...(isObject(parameters) && { parameters }),
        },
      },
    ]
  })
}

function readToolSettings({ tool_choice: choice, parallel_tool_calls: parallel }: JsonObject): Partial<LabelRequest> {
  const named = isObject(choice) && isObject(choice['function']) ? choice['function']['name'] : undefined
  return {
    ...((choice === 'none' || choice === 'auto' || choice === 'required') && { tool_choice: choice }),
    ...(typeof named === 'string' && { tool_choice: { type: 'function' as const, function: { name: named } } }),
    ...(typeof parallel === 'boolean' && { parallel_tool_calls: parallel }),
  }
}

function readAnswerSettings(value: JsonObject): Partial<LabelRequest> {
  const { response_format: format, max_tokens: max, max_completion_tokens: maxCompletion } = value
  const effort = reasoningEfforts.find((each) => each === value['reasoning_effort'])
  const answerFormat = readResponseFormat(format)
  return {
    ...(answerFormat && { response_format: answerFormat }),
    ...(isCount(max) && { max_tokens: max }),
    ...(isCount(maxCompletion) && { max_completion_tokens: maxCompletion }),
    ...(effort && { reasoning_effort: effort }),
  }
}

function readResponseFormat(value: unknown): ChatResponseFormat | undefined {
  if (!isObject(value)) return undefined
  const { type, json_schema: schema } = value
  if (type === 'text' || type === 'json_object') return { type }
  if (type !== 'json_schema' || !isObject(schema)) return undefined
  const { name, schema: form } = schema
  return {
    type,
    json_schema: { name: typeof name === 'string' ? name : '', ...(isObject(form) && { schema: form }) },
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}
