import type { ChatCompletion } from 'openai/resources/chat'
import type { ChatRequest } from '#lib/events/chat-request'
import type { LimitReport } from './rate-limit-headers.ts'
import type { ChargedUsage } from './usage.ts'

/** One call of a model. Nothing is retried inside; a failure is a ModelCallError. */
export interface ChatModel {
  complete(request: ChatRequest, call: ChatCall): Promise<ChatAnswer>
}

export interface ChatCall {
  /** Name that the backend or provider knows the model by; what the request names is ignored. */
  model: string
  /** Replaces whatever limit the request carries. */
  maxOutputTokens: number
  /** The most that the prompt can count, of a call that is paid for: what the provider counts is held against it. */
  promptTokensBound?: number
  /** Whose answer is wanted: recorded ones are found by it. No model is told. */
  step?: AskingStep
  /** Aborted with a TimeoutError at the step's deadline, with anything else when the answer is of no interest. */
  signal: AbortSignal
}

export interface AskingStep {
  tenantId: string
  stepId: string
  /** Id in the policy. */
  model: string
}

/** Tokens are as billed: from the backend's usage, or the bound where that cannot be (usage.ts). */
export interface ChatAnswer extends ChargedUsage {
  /** As it came from an OpenAI-compatible backend, translated otherwise. */
  completion: ChatCompletion
  /** What the provider said is left of its limits, when the request came in. */
  limits?: LimitReport | undefined
  /** Made by the stand-in, not by a model. */
  standIn: boolean
}
