const quote = 0x22
const colon = 0x3a
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/**
 * A string field of the outermost object of a JSON text, without parsing the rest; where it is there twice the last one,
 * as JSON.parse() has it. null where there is none, or the text is not plain enough to tell. Strings, of which a prompt is
 * one, are skipped by the native search: 1 MiB of them takes a fraction of a millisecond.
 */
export function peekJsonString(bytes: Buffer, field: string): string | null {
  let depth = 0
  let found: string | null = null
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte === openBrace || byte === openBracket) depth++
    else if (byte === closeBrace || byte === closeBracket) depth--
    else if (byte === quote) {
      const end = endOfString(bytes, at)
      if (end < 0) return null
      if (depth === 1) {
        const valueAt = afterColon(bytes, end + 1)
        // Escapes can write a name in many ways.
        if (valueAt > 0 && bytes.subarray(at, end).includes(backslash)) return null
        if (valueAt > 0 && bytes.toString('latin1', at + 1, end) === field) found = stringAt(bytes, valueAt)
      }
      at = end
    }
  }
  return found
}

/** Where the value of a name begins; -1 where what was read is no name. */
function afterColon(bytes: Buffer, from: number): number {
  const at = afterBlanks(bytes, from)
  return bytes[at] === colon ? afterBlanks(bytes, at + 1) : -1
}

function afterBlanks(bytes: Buffer, from: number): number {
  let at = from
  while (at < bytes.length && bytes[at]! <= 0x20) at++
  return at
}

function stringAt(bytes: Buffer, start: number): string | null {
  if (bytes[start] !== quote) return null
  const end = endOfString(bytes, start)
  if (end < 0) return null
  const text = bytes.toString('utf8', start + 1, end)
  return text.includes('\\') ? null : text
}

/** The closing quote of the string that begins at `start`; -1 where there is none. */
function endOfString(bytes: Buffer, start: number): number {
  for (let end = bytes.indexOf(quote, start + 1); end >= 0; end = bytes.indexOf(quote, end + 1)) {
    let before = end
    while (bytes[before - 1] === backslash) before--
    if ((end - before) % 2 === 0) return end
  }
  return -1
}
