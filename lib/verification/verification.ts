import type { ChatCompletionCreateParams } from 'openai/resources/chat'
import type { Verdict } from '#lib/models/verdicts'

/** The part of a request that an answer can be held against. */
export type AnswerableRequest = Pick<ChatCompletionCreateParams, 'tools' | 'tool_choice' | 'response_format'> &
  Partial<Pick<ChatCompletionCreateParams, 'messages'>>

export interface Verification {
  verdict: Verdict
  /** For a person and for the audit: names places and counts, never prompt or answer text. Null when ok. */
  detail: string | null
}

export const ok: Verification = { verdict: 'ok', detail: null }
export const failed = (verdict: Exclude<Verdict, 'ok'>, detail: string): Verification => ({ verdict, detail })
