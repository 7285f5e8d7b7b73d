import type { ChatCompletion } from 'openai/resources/chat'
import { isSealed } from '#lib/erasure/sealed-text'
import { openText, orNull, sealLike, sealText, type Keys } from '#lib/erasure/step-texts'
import type { ChatRequest } from '#lib/events/chat-request'
import type { AttemptRef, StoredAnswers } from '#lib/ledger/stored-answers'
import type { RecordedChatDeps } from '#lib/models/recorded-chat'
import type { ModelJob } from '#lib/worker/call-end'
import type { StoredRequest } from './lane-job.ts'

/**
 * What of a step's texts lies in Redis: sealed where the step's own request is. All throw SHUNT_DATA_KEYS_UNAVAILABLE
 * (retryable).
 */

type OfStep = Pick<StoredRequest, 'tenantId' | 'stepId' | 'request'>

/** Throws SHUNT_TEXT_ERASED where the tenant's key was deleted meanwhile. */
export async function toStoredRequest(
  keys: Keys,
  { routed: { step }, hinted }: Pick<ModelJob, 'routed' | 'hinted'>,
): Promise<StoredRequest['request']> {
  return isSealed(step.request) ? sealLike(keys, step, 'call_request', JSON.stringify(hinted)) : hinted
}

/** Null where it was erased. */
export async function readStoredRequest(keys: Keys, stored: OfStep): Promise<ChatRequest | null> {
  const { tenantId, stepId, request } = stored
  if (typeof request !== 'string') return request
  const text = await orNull(openText(keys, { tenantId, stepId, field: 'call_request' }, request))
  return text === null ? null : (JSON.parse(text) as ChatRequest)
}

/** Null where the key was deleted while the call was under way: the answer was paid for, and nobody shall read it. */
export async function toStoredAnswer(keys: Keys, stored: OfStep, completion: ChatCompletion): Promise<unknown> {
  const { tenantId, stepId, request } = stored
  if (typeof request !== 'string') return completion
  return orNull(sealText(keys, { tenantId, stepId, field: 'call_answer' }, JSON.stringify(completion)))
}

/** Of a replay's recorded answers; null for one that was erased. */
export function openRecordedAnswer(keys: Keys): RecordedChatDeps['open'] {
  return ({ tenantId, stepId }, answer) => orNull(openText(keys, { tenantId, stepId, field: 'answer' }, answer))
}

/** Null for none, and for one that was erased. */
export async function readStoredAnswer(
  { answers, keys }: { answers: Pick<StoredAnswers, 'answer'>; keys: Keys },
  ref: AttemptRef,
  { step: { tenantId, stepId } }: ModelJob['routed'],
): Promise<unknown> {
  const stored = await answers.answer(ref)
  if (typeof stored !== 'string') return stored
  const text = await orNull(openText(keys, { tenantId, stepId, field: 'call_answer' }, stored))
  return text === null ? null : JSON.parse(text)
}
