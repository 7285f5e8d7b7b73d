import type { ChatCompletion } from 'openai/resources/chat'
import type { AskingStep, ChatModel } from './chat-model.ts'
import { ModelCallError } from './model-call-error.ts'
import { usageProblem } from './usage.ts'

/** What a model answered a step when the step was recorded. */
export interface RecordedAnswer {
  /** Id in the policy that decided then. */
  model: string
  /** chat.completion JSON text, in the form of the step's own request: sealed or plain. */
  answer: string
  promptTokens: number
  completionTokens: number
  standIn: boolean
}

type OfStep = Pick<AskingStep, 'tenantId' | 'stepId'>

export interface RecordedChatDeps {
  /** Null where nothing is recorded of the step. */
  read: (step: OfStep) => Promise<RecordedAnswer | null>
  /** An answer as plain text; null where it was erased. */
  open: (step: OfStep, answer: string) => Promise<string | null>
}

/**
 * Answers with what was recorded, and sends nothing to anybody. An answer of another model is none: it does not tell what
 * the one that is asked would have said; and so is one that is longer than it may write now, which a call would have cut
 * short, and whose cost nobody has reserved. Usage is the recorded one.
 */
export function createRecordedChat({ read, open }: RecordedChatDeps): ChatModel {
  const unreachable = (): never => {
    throw new ModelCallError('unreachable', 'the recorded answers cannot be read at present')
  }
  return {
    async complete(_request, { step, maxOutputTokens, promptTokensBound }) {
      const found = step ? await read(step).catch(unreachable) : null
      if (!step || found === null) throw new ModelCallError('not_recorded', 'no answer of a frontier model is recorded')
      if (found.model !== step.model)
        throw new ModelCallError('not_recorded', `the recorded answer is of ${found.model}, not of ${step.model}`)
      const { answer, promptTokens, completionTokens, standIn } = found
      const bound = { promptTokens: promptTokensBound ?? promptTokens, maxOutputTokens }
      if (usageProblem(found, bound) !== null)
        throw new ModelCallError(
          'not_recorded',
          `the recorded answer is longer than the ${maxOutputTokens} tokens of now`,
        )
      const text = await open(step, answer).catch(unreachable)
      return { completion: completionOf(text), promptTokens, completionTokens, standIn }
    },
  }
}

/** A long answer of a step that failed was cut when it was recorded, and is no JSON any more. */
function completionOf(text: string | null): ChatCompletion {
  if (text === null) throw new ModelCallError('not_recorded', 'the recorded answer was erased, or its key is not here')
  try {
    return JSON.parse(text) as ChatCompletion
  } catch {
    throw new ModelCallError('not_recorded', 'the recorded answer was cut')
  }
}
