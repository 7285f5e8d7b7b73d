import type { ChatCompletion } from 'openai/resources/chat'
import type { AskingStep, ChatModel } from './chat-model.ts'
import { ModelCallError } from './model-call-error.ts'

/** What a model answered a step when the step was recorded. */
export interface RecordedAnswer {
  /** Id in the policy that decided then. */
  model: string
  completion: ChatCompletion
  promptTokens: number
  completionTokens: number
  standIn: boolean
}

/** Null where nothing is recorded of the step. */
export type ReadRecorded = (step: Pick<AskingStep, 'tenantId' | 'stepId'>) => Promise<RecordedAnswer | null>

/**
 * Answers with what was recorded, and sends nothing to anybody. An answer of another model is none: it does not tell what
 * the one that is asked would have said. Usage is the recorded one.
 */
export function createRecordedChat(read: ReadRecorded): ChatModel {
  return {
    async complete(_request, { step }) {
      const found = step
        ? await read(step).catch(() => {
            throw new ModelCallError('unreachable', 'the recorded answers cannot be read at present')
          })
        : null
      if (!step || found === null) throw new ModelCallError('not_recorded', 'no answer of a frontier model is recorded')
      if (found.model !== step.model)
        throw new ModelCallError('not_recorded', `the recorded answer is of ${found.model}, not of ${step.model}`)
      const { completion, promptTokens, completionTokens, standIn } = found
      return { completion, promptTokens, completionTokens, standIn }
    },
  }
}
