/**
 * A validated chat-completions request: what is left of OpenAI's body after the allow-list (request-fields.ts).
 * Fields that were null are absent; field names are OpenAI's. Assignable to the openai SDK's parameters once `model` is set.
 */
export interface ChatRequest {
  /** As the caller wrote it: recorded, and read by rules that name it; never routes by itself. */
  model?: string
  messages: ChatMessage[]
  tools?: ChatTool[]
  /** Present only beside tools, and a named tool is one of them. */
  tool_choice?: ChatToolChoice
  parallel_tool_calls?: boolean
  response_format?: ChatResponseFormat
  max_tokens?: number
  max_completion_tokens?: number
  temperature?: number
  top_p?: number
  presence_penalty?: number
  frequency_penalty?: number
  stop?: string | string[]
  seed?: number
  logprobs?: boolean
  top_logprobs?: number
  reasoning_effort?: ReasoningEffort
}

export const reasoningEfforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
type ReasoningEffort = (typeof reasoningEfforts)[number]

export type ChatMessage = InstructionMessage | UserMessage | AssistantMessage | ToolMessage

export interface InstructionMessage {
  role: 'system' | 'developer'
  content: string | TextPart[]
  name?: string
}

export interface UserMessage {
  role: 'user'
  content: string | (TextPart | ImagePart)[]
  name?: string
}

export interface AssistantMessage {
  role: 'assistant'
  content?: string | (TextPart | RefusalPart)[] | null
  refusal?: string | null
  tool_calls?: ChatToolCall[]
  name?: string
}

interface ToolMessage {
  role: 'tool'
  content: string | TextPart[]
  tool_call_id: string
}

export interface TextPart {
  type: 'text'
  text: string
}

export interface RefusalPart {
  type: 'refusal'
  refusal: string
}

interface ImagePart {
  type: 'image_url'
  /** A data URL of a PNG, JPEG, WebP or GIF: a worker fetches nothing. */
  image_url: { url: string; detail?: 'auto' | 'low' | 'high' }
}

/** A call of an earlier turn; the name may be of no tool and the arguments no JSON: models make such calls. */
export interface ChatToolCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
}

export interface ChatTool {
  type: 'function'
  /** `parameters` is a JSON Schema. */
  function: { name: string; description?: string; parameters?: Record<string, unknown>; strict?: boolean }
}

type ChatToolChoice = 'none' | 'auto' | 'required' | { type: 'function'; function: { name: string } }

export type ChatResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | {
      type: 'json_schema'
      json_schema: { name: string; description?: string; schema?: Record<string, unknown>; strict?: boolean }
    }
