import { isFailureText } from './failure-text.ts'
import { isFailureValue } from './failure-value.ts'

/** Longest result that is parsed as JSON; beyond it the ends decide. */
const maxParsedChars = 65_536
/** Longest that is tried as a Python literal, which costs a copy. */
const maxLiteralChars = 4_096
/** A text in a content part in a result in a string: as deep as wrapping goes in practice, and the stack is safe. */
const maxDepth = 6

const fence = /^```\w{0,20}\s{0,4}/
const announcement =
  /^(?:observation|(?:tool|function)[ _](?:output|result|response)|output|result|response|stderr):\s{0,4}/i

/** The first member of an object that is cut off or too long to parse. */
const failureStart =
  /^\{\s{0,9}["'](?:is_?error["']\s{0,4}:\s{0,4}true|(?:ok|success)["']\s{0,4}:\s{0,4}false|error(?:_?message)?["']\s{0,4}:\s{0,4}(?:["'](?!["'])|\{|true)|status["']\s{0,4}:\s{0,4}["'](?:error|failed)|(?:exit|return)_?code["']\s{0,4}:\s{0,4}-?[1-9])/i
/** MCP's flag stands behind the content. */
const failureFlagAtEnd = /["']is_?error["']\s{0,4}:\s{0,4}true\s{0,4}\}$/i

/**
 * True where a tool's result reports a failure: a text that opens or ends like one, a JSON object with an error's usual
 * fields, or MCP's `isError`; also where it is quoted, fenced or announced. An empty result and an empty list are
 * answers, and so is a result that tells of others' errors: a log, a lint report, a record whose status is `failed`.
 * What cannot be told: a bare sentence ("the date is required") that may as well be the answer, and other languages.
 * The cost grows linearly with the text at most, whatever it holds.
 */
export function isFailedResult(text: string): boolean {
  return isFailedAt(text, 0)
}

function innerReader(depth: number): (inner: unknown) => boolean {
  if (depth === maxDepth) return () => false
  return (inner) =>
    typeof inner === 'string' ? isFailedAt(inner, depth + 1) : isFailureValue(inner, innerReader(depth + 1))
}

function isFailedAt(text: string, depth: number): boolean {
  const result = unwrap(text)
  const readInner = innerReader(depth)
  switch (result.charAt(0)) {
    case '"': {
      const value = parseJson(result)
      return typeof value === 'string' ? readInner(value) : isFailureText(result)
    }
    case "'":
      return readInner(result.slice(1, result.endsWith("'") ? -1 : undefined))
    case '{':
    case '[': {
      const value = parseJson(result) ?? parseLiteral(result)
      if (value !== undefined) return isFailureValue(value, readInner)
      // `[ERROR] …` and `[exit code 1]` are texts; an array that is cut off shows by what it opens with.
      if (result[0] === '[' && !/^\[\s{0,9}[[{"'\d]/.test(result)) return isFailureText(result)
      return failureStart.test(result.slice(0, 200)) || failureFlagAtEnd.test(result.slice(-100))
    }
    default:
      return isFailureText(result)
  }
}

/** Without white space, a code fence, and a word such as `Observation:` around it. */
function unwrap(text: string): string {
  let result = text.trim()
  if (result.startsWith('```')) result = result.replace(fence, '').replace(/```$/, '').trim()
  return result.replace(announcement, '')
}

function parseJson(text: string): unknown {
  if (text.length > maxParsedChars) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `{'error': 'not found', 'retry': False}`, as Python prints a dict. Undefined for what is none, or not plainly. */
function parseLiteral(text: string): unknown {
  if (text.length > maxLiteralChars || !text.includes("'")) return undefined
  const words: Record<string, string> = { "'": '"', True: 'true', False: 'false', None: 'null' }
  return parseJson(text.replaceAll(/'|\b(?:True|False|None)\b/g, (word) => words[word] ?? word))
}
