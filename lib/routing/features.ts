import type { ChatMessage, ChatRequest } from '#lib/events/chat-request'
import type { AgentStep, StepKind } from '#lib/events/types.generated'
import { countImages, textsOf } from './message-text.ts'
import { emptyCounts, type TextCounts } from './text-scan.ts'
import { estimatePromptTokens } from './token-estimate.ts'
import { noAmbiguity, readTools, type ToolAmbiguity } from './tool-ambiguity.ts'
import { readToolShape, toolShapeNames } from './tool-shape.ts'
import { readTrace, type TraceReading } from './trace.ts'

/** What a scorer sees of a step. Counts, never cut short: the whole request is read, whatever its length. */
export interface StepFeatures {
  kind: StepKind
  requestBytes: number
  /** Upper estimate. */
  promptTokens: number
  messageCount: number
  assistantTurns: number
  imageCount: number
  /** Over all messages. */
  words: number
  /** Characters beyond ASCII over all characters, ppm. */
  nonAsciiPpm: number
  /** Of the user's last message. */
  task: TaskFeatures
  toolCount: number
  /** As the request asks; null when it does not say. */
  maxOutputTokens: number | null
  answerFormat: 'text' | 'json_object' | 'json_schema'
  /** The caller asks for more than medium effort. */
  askedToReason: boolean
  ambiguity: ToolAmbiguity
  /** By `toolShapeNames`. */
  toolShape: Float32Array
  trace: TraceReading
}

export interface TaskFeatures {
  words: number
  numbers: number
  /** Code marks over all characters, ppm. */
  codePpm: number
  form: QuestionForm
}

/** How the last message asks: `why` also stands for how, prove, derive, compare and the like. */
export type QuestionForm = 'none' | 'question' | 'choice' | 'why' | 'calculate'

/** `request` is the step's own, validated. */
export function extractFeatures(step: Pick<AgentStep, 'kind' | 'request'>, request: ChatRequest): StepFeatures {
  const counts = emptyCounts()
  const taskCounts = emptyCounts()
  let images = 0
  let assistantTurns = 0
  for (const message of request.messages) {
    images += countImages(message)
    if (message.role === 'assistant') assistantTurns++
  }
  const tools = readTools(request)
  const toolShape = new Float32Array(toolShapeNames.length)
  readToolShape(tools, toolShape, 0)
  const promptTokens = estimatePromptTokens(request, images, counts, taskCounts)
  return {
    kind: step.kind,
    requestBytes: Buffer.byteLength(step.request),
    promptTokens,
    messageCount: request.messages.length,
    assistantTurns,
    imageCount: images,
    words: counts.words,
    nonAsciiPpm: ratioPpm(counts.nonAscii, counts.chars),
    task: readTask(request.messages, taskCounts),
    toolCount: request.tools?.length ?? 0,
    maxOutputTokens: request.max_completion_tokens ?? request.max_tokens ?? null,
    answerFormat: request.response_format?.type ?? 'text',
    askedToReason: ['high', 'xhigh', 'max'].includes(request.reasoning_effort ?? ''),
    ambiguity: tools?.ambiguity ?? noAmbiguity,
    toolShape,
    trace: readTrace(request),
  }
}

function readTask(messages: readonly ChatMessage[], counts: TextCounts): TaskFeatures {
  const last = messages.findLast((message) => message.role === 'user')
  const text = last ? textsOf(last).join('\n') : ''
  return {
    words: counts.words,
    numbers: counts.numbers,
    codePpm: ratioPpm(counts.codeMarks, counts.chars),
    // Read by the hand-weighted score alone, and a tenth of the time that a decision takes.
    get form() {
      return questionForm(text)
    },
  }
}

const choiceForm = /(?:^|\n)\s*\(?A[.):]\s[^]*\n\s*\(?B[.):]\s/
const calculateForm =
  /\b(?:calculate|compute|solve|how (?:many|much)|what is the (?:sum|total|product|difference|average|probability|percentage))\b/i
const whyForm =
  /\b(?:why|how (?:do|does|did|is|are|would|could|should)|explain|prove|derive|compare|analy[sz]e|evaluate|step by step)\b/i

/** A question stands at an end of a message: what lies between is what it is about. */
const endChars = 600

function questionForm(text: string): QuestionForm {
  const ends = text.length <= 2 * endChars ? text : `${text.slice(0, endChars)}\n${text.slice(-endChars)}`
  if (choiceForm.test(ends)) return 'choice'
  if (calculateForm.test(ends)) return 'calculate'
  if (whyForm.test(ends)) return 'why'
  return ends.trimEnd().endsWith('?') ? 'question' : 'none'
}

function ratioPpm(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part * 1_000_000) / whole)
}
