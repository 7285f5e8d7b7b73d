import type { ChatRequest } from '#lib/events/chat-request'
import type { StepKind } from '#lib/events/types.generated'
import type { StepFeatures } from './features.ts'
import { textsOf } from './message-text.ts'
import { structureNames, structureReader } from './request-structure.ts'
import { scanTask } from './task-scan.ts'
import { readTaskShape, shapeNames, shapeSize } from './task-shape.ts'
import { cueWords } from './task-words.ts'
import { toolShapeNames } from './tool-shape.ts'

/** In the order of the inputs: a scorer that was trained on another order is refused. */
const kinds: readonly StepKind[] = [
  'unknown',
  'classification',
  'extraction',
  'summarization',
  'content_filter',
  'routing',
  'tool_call',
  'reasoning',
  'generation',
]

const requestNames = [
  ...kinds.map((kind) => `kind_${kind}`),
  'prompt_tokens',
  'messages',
  'assistant_turns',
  'images',
  'all_words',
  'other_script',
  'answer_tokens',
  'json_object',
  'json_schema',
  'asked_to_reason',
  'trouble',
  'tool_errors',
  'repeated_calls',
  'unknown_calls',
  'malformed_calls',
  'turns_since_trouble',
  'unrecovered',
] as const

const figureNames: readonly string[] = [
  ...requestNames,
  ...toolShapeNames.map((name) => `tool_${name}`),
  ...shapeNames.map((name) => `task_${name}`),
  ...cueWords.map((word) => `cue_${word}`),
]

/** Every figure that a trained scorer sees beside the n-grams. A scorer stores these names and refuses to read others. */
export const denseNames: readonly string[] = [...figureNames, ...structureNames.map((name) => `structure_${name}`)]
export const denseSize = denseNames.length

const readStructure = structureReader(figureNames)

/** Writes `denseSize` figures. `features` are those of `request`. */
export function readDense(features: StepFeatures, request: Pick<ChatRequest, 'messages'>, out: Float32Array): void {
  const { trace } = features
  let i = 0
  for (const kind of kinds) out[i++] = kind === features.kind ? 1 : 0
  out[i++] = Math.log1p(features.promptTokens)
  out[i++] = features.messageCount
  out[i++] = features.assistantTurns
  out[i++] = features.imageCount
  out[i++] = Math.log1p(features.words)
  out[i++] = features.nonAsciiPpm / 1e6
  out[i++] = features.maxOutputTokens === null ? -1 : Math.log1p(features.maxOutputTokens)
  out[i++] = features.answerFormat === 'json_object' ? 1 : 0
  out[i++] = features.answerFormat === 'json_schema' ? 1 : 0
  out[i++] = features.askedToReason ? 1 : 0
  out[i++] = trace.troublePpm / 1e6
  out[i++] = trace.toolErrors
  out[i++] = trace.repeatedCalls
  out[i++] = trace.unknownToolCalls
  out[i++] = trace.malformedCalls
  out[i++] = trace.turnsSinceTrouble ?? -1
  out[i++] = trace.unrecoveredTroubles
  out.set(features.toolShape, i)
  i += toolShapeNames.length
  const last = request.messages.findLast((message) => message.role === 'user')
  readTaskShape(scanTask(last ? textsOf(last).join('\n') : ''), out, i)
  i += shapeSize
  readStructure(out, i)
  i += structureNames.length
  if (i !== denseSize) throw new TypeError(`${i} figures were written of ${denseSize}`)
}
