import { ShuntError } from '#lib/errors'

/** Deeper values run recursive code (JSON.stringify, template engines of model servers) out of its stack. */
const maxNesting = 64

/**
 * Throws SHUNT_EVENT_INVALID with the place and never with text around it, as V8's own message does: it may be a
 * prompt. `what` names the text in the message.
 */
export function parseJson(text: string, what: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const position = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1]
    const place = position === undefined ? '' : ` at character ${position}`
    throw new ShuntError('SHUNT_EVENT_INVALID', `${what} is not JSON${place}`)
  }
  if (nestingOf(text) > maxNesting)
    throw new ShuntError('SHUNT_EVENT_INVALID', `${what} is nested more than ${maxNesting} deep`)
  return value
}

const quote = 0x22
const backslash = 0x5c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** How deep arrays and objects lie in a valid JSON text. */
function nestingOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === quote) i = endOfString(text, i)
    else if (char === openBrace || char === openBracket) deepest = Math.max(deepest, ++depth)
    else if (char === closeBrace || char === closeBracket) depth--
  }
  return deepest
}

/** Where the string that begins at `start` has its closing quote: the next one that no odd run of backslashes escapes. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let before = end
    while (text.charCodeAt(before - 1) === backslash) before--
    if ((end - before) % 2 === 0) return end
  }
}
