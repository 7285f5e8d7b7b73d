import type { JsonSchema } from './json-grammar.ts'

/** A chat-completions body after validation, in the terms of this server. */
export interface GenerationRequest {
  turns: Turn[]
  tools: Tool[]
  /** `name` is set where one certain tool must be called. */
  toolChoice: { mode: 'none' | 'auto' | 'required'; name?: string }
  /** Undefined: free text. */
  answerSchema: JsonSchema | undefined
  maxTokens: number | undefined
  sampling: Sampling
  /** Most likely tokens to tell for each token; undefined: no log-probabilities at all. */
  topLogprobs: number | undefined
  stop: string[]
  stream: boolean
  streamUsage: boolean
}

export interface Sampling {
  /** 0 takes the most likely token. @default 0 */
  temperature: number
  topP: number
  seed: number
  frequencyPenalty: number
  presencePenalty: number
}

export type Turn =
  | { role: 'system' | 'user' | 'tool'; text: string }
  | { role: 'assistant'; text: string; calls: { name: string; arguments: string }[] }

export interface Tool {
  name: string
  description: string
  parameters: JsonSchema
}
