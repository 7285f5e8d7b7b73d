import type { ChatMessage, ChatRequest } from '#lib/events/chat-request'
import type { Attempt } from '#lib/events/types.generated'
import { verdicts, type Verdict } from '#lib/models/verdicts'
import type { Policy } from '#lib/policy/schema'
import { emptyCounts } from '#lib/routing/text-scan'
import { estimatePromptTokens } from '#lib/routing/token-estimate'

/** An answer beyond this is left out: a frontier model would be paid to read it, and may have no room for it. */
const maxHintBytes = 8_192

/** Faults that a model can do better about. A refusal begets another one, and what was withheld stays so. */
const tellingVerdicts: ReadonlySet<string> = new Set<Verdict>([
  'truncated',
  'unknown_tool',
  'tool_expected',
  'tool_unexpected',
  'arguments_malformed',
  'arguments_invalid',
  'format_mismatch',
  'schema_mismatch',
  'label_unknown',
  'low_confidence_answer',
])

/**
 * What a frontier model is told of the last answer of an open model that failed the step, where the policy says so
 * (`reroute.hint`): the answer, and by the verdict alone what is wrong with it. Empty where there is nothing to tell.
 * Pure, so that who reckons the bound and who sends the request get the same.
 */
export function hintOf(attempts: readonly Attempt[], { reroute }: Pick<Policy, 'reroute'>): ChatMessage[] {
  if (reroute?.hint !== true) return []
  const weak = attempts.findLast(({ tier, verdict }) => tier === 'oss' && tellingVerdicts.has(verdict))
  const text = weak && !weak.answerTruncated ? readAnswer(weak.answer) : ''
  if (!weak || text === '' || Buffer.byteLength(text) > maxHintBytes) return []
  const { meaning } = verdicts[weak.verdict as Verdict]
  return [
    { role: 'assistant', content: text },
    { role: 'user', content: `The answer above was not accepted: ${meaning} Answer the original request anew.` },
  ]
}

/** Upper estimate of what a hint adds to a prompt. */
export function countHintTokens(hint: ChatMessage[]): number {
  return hint.length === 0 ? 0 : estimatePromptTokens({ messages: hint }, 0, emptyCounts(), emptyCounts())
}

export function withHint(request: ChatRequest, hint: readonly ChatMessage[]): ChatRequest {
  return hint.length === 0 ? request : { ...request, messages: [...request.messages, ...hint] }
}

/** Calls as text: as calls they would have to be answered by tools. Whatever a backend sent is taken. */
function readAnswer(completion: string | null): string {
  const message = messageOf(completion)
  const { content, tool_calls: calls } = message ?? {}
  const lines = typeof content === 'string' && content.trim() !== '' ? [content] : []
  if (Array.isArray(calls))
    for (const call of calls as ({ function?: { name?: unknown; arguments?: unknown } } | null)[]) {
      const { name, arguments: args } = call?.function ?? {}
      lines.push(`Call of ${asText(name)} with ${asText(args)}`)
    }
  return lines.join('\n')
}

function messageOf(completion: string | null): { content?: unknown; tool_calls?: unknown } | undefined {
  if (completion === null) return undefined
  try {
    const value = JSON.parse(completion) as { choices?: { message?: object }[] } | null
    return value?.choices?.[0]?.message ?? undefined
  } catch {
    return undefined
  }
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')
}
