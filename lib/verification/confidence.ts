import type {
  ChatCompletion,
  ChatCompletionMessage,
  ChatCompletionMessageFunctionToolCall,
} from 'openai/resources/chat'
import type { StepKind } from '#lib/events/types.generated'
import type { Policy } from '#lib/policy/schema'
import { jsonValueSpans, type Span } from './json-values.ts'

const million = 1_000_000
/** One in a million: backends write −9999 or −100 for what is less, and one such token would outweigh all others. */
const leastLogprob = Math.log(1 / million)

/** A token with its place in the text that all tokens make together. */
interface Token extends Span {
  logprob: number
}

/**
 * How sure the model was of its answer, in parts per million; null where the backend tells no log-probabilities.
 *
 * The measure is the length-normalised likelihood, exp(mean log p) over the answer's tokens: the geometric mean of their
 * probabilities (Malinin and Gales, Uncertainty Estimation in Autoregressive Structured Prediction, ICLR 2021). Which tokens?
 * Of a text those that make the message, not the reasoning before it; of JSON and of a tool call those of the values, as
 * names and punctuation follow from the schema and would make every call look sure. Of several calls the least sure one
 * counts: one wrong call makes the answer wrong. Where the text is not found in the tokens, since a server wrote it anew, all
 * tokens count.
 */
export function confidencePpm(completion: ChatCompletion): number | null {
  const choice = completion?.choices?.[0]
  const { text, tokens } = readTokens(choice?.logprobs?.content)
  if (tokens.length === 0) return null
  const parts = partsOf(choice?.message)
  if (parts.length === 0) return Math.round(million * likelihood(tokens))
  return Math.round(million * Math.min(...parts.map((part) => likelihood(tokensOf(inBytes(part), text, tokens)))))
}

/** What a policy asks of an answer to a step of the kind; 0 where it asks nothing. */
export function leastConfidencePpm({ minConfidencePpm, perKind }: Policy['verification'], kind: StepKind): number {
  return perKind?.[kind]?.minConfidencePpm ?? minConfidencePpm ?? 0
}

/** The arguments of each tool call, or the text. */
function partsOf(message: ChatCompletionMessage | undefined): string[] {
  const calls: unknown = message?.tool_calls
  if (Array.isArray(calls) && calls.length > 0)
    return (calls as Partial<ChatCompletionMessageFunctionToolCall>[]).flatMap((call) =>
      typeof call?.function?.arguments === 'string' ? [call.function.arguments] : [],
    )
  return typeof message?.content === 'string' ? [message.content] : []
}

/** A character for each byte: tokens may end within a character. */
function inBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}

function likelihood(tokens: readonly Token[]): number {
  return Math.exp(tokens.reduce((sum, { logprob }) => sum + logprob, 0) / tokens.length)
}

/** In bytes (inBytes). Whatever a backend sends is taken; what is no token is left out. */
function readTokens(content: unknown): { text: string; tokens: Token[] } {
  let text = ''
  const tokens: Token[] = []
  for (const each of Array.isArray(content) ? (content as unknown[]) : []) {
    if (typeof each !== 'object' || each === null) continue
    const { token, bytes, logprob } = each as { token?: unknown; bytes?: unknown; logprob?: unknown }
    if (typeof token !== 'string' || typeof logprob !== 'number' || Number.isNaN(logprob)) continue
    const from = text.length
    text += Array.isArray(bytes) ? Buffer.from(bytes as number[]).toString('latin1') : inBytes(token)
    tokens.push({ from, to: text.length, logprob: Math.min(0, Math.max(leastLogprob, logprob)) })
  }
  return { text, tokens }
}

/** The last place where a part stands: reasoning comes first and may quote it. */
function tokensOf(part: string, text: string, tokens: readonly Token[]): readonly Token[] {
  const at = part === '' ? -1 : text.lastIndexOf(part)
  if (at < 0) return tokens
  const whole = [{ from: at, to: at + part.length }]
  const values = valueSpans(part).map(({ from, to }) => ({ from: at + from, to: at + to }))
  const chosen = overlapping(tokens, values)
  return chosen.length > 0 ? chosen : overlapping(tokens, whole)
}

/** All of a text that is no JSON object or array. */
function valueSpans(part: string): Span[] {
  if (!/^\s*[{[]/.test(part)) return [{ from: 0, to: part.length }]
  try {
    JSON.parse(part)
    return jsonValueSpans(part)
  } catch {
    return [{ from: 0, to: part.length }]
  }
}

/** Both in order of their places. */
function overlapping(tokens: readonly Token[], spans: readonly Span[]): Token[] {
  let next = 0
  return tokens.filter(({ from, to }) => {
    while (next < spans.length && spans[next]!.to <= from) next++
    return next < spans.length && spans[next]!.from < to
  })
}
