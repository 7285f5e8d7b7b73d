import type { ChatCompletion } from 'openai/resources/chat'
import type { ChatRequest } from '#lib/events/chat-request'
import { leastConfidencePpm } from '#lib/verification/confidence'
import type { ModelJob } from './call-end.ts'

/** The request as it is sent: with log-probabilities where the policy asks for the confidence of answers like this. */
export function askForLogprobs({ request, policy, routed }: ModelJob): ChatRequest {
  const isAsked = leastConfidencePpm(policy.verification, routed.step.kind) > 0
  return isAsked ? { ...request, logprobs: true } : request
}

/** The answer as the caller gets it: without log-probabilities that it did not ask for. */
export function deliverable(request: ChatRequest, completion: ChatCompletion): ChatCompletion {
  if (request.logprobs === true || !Array.isArray(completion?.choices)) return completion
  if (completion.choices.every((choice) => !choice?.logprobs)) return completion
  return { ...completion, choices: completion.choices.map((choice) => ({ ...choice, logprobs: null })) }
}
