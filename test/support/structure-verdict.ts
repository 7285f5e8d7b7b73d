import type { ChatCompletion } from 'openai/resources/chat'
import { checkStructure } from '#lib/verification/check-structure'
import { ok, type AnswerableRequest, type Verification } from '#lib/verification/verification'

/** What an answer's structure alone gives it. */
export function structureVerdict(request: AnswerableRequest, completion: ChatCompletion): Verification {
  const form = checkStructure(request, completion)
  return 'verdict' in form ? form : ok
}
