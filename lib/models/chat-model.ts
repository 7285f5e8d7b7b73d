import type { ChatCompletion } from 'openai/resources/chat'
import type { ChatRequest } from '#lib/events/chat-request'

/** One call of a model. Nothing is retried inside; a failure is a ModelCallError. */
export interface ChatModel {
  complete(request: ChatRequest, call: ChatCall): Promise<ChatAnswer>
}

export interface ChatCall {
  /** Name that the backend or provider knows the model by; what the request names is ignored. */
  model: string
  /** Replaces whatever limit the request carries. */
  maxOutputTokens: number
  /** Aborted with a TimeoutError at the step's deadline, with anything else when the answer is of no interest. */
  signal: AbortSignal
}

export interface ChatAnswer {
  /** As it came from an OpenAI-compatible backend, translated otherwise. */
  completion: ChatCompletion
  /** As billed: from the backend's usage. */
  promptTokens: number
  completionTokens: number
  /** Made by the stand-in, not by a model. */
  standIn: boolean
}
