/** Characters from `from` to before `to`. */
export interface Span {
  from: number
  to: number
}

const scalar = /"(?:[^"\\]|\\.)*"|[^\s"{}[\],:]+/gs
const colonNext = /\s*:/y

/**
 * Where a valid JSON text has what its writer chose: strings without their quotes, numbers, true, false, null; not the
 * names of members and not the punctuation. Empty strings count with their quotes, or they would have no character.
 */
export function jsonValueSpans(text: string): Span[] {
  const spans: Span[] = []
  for (const match of text.matchAll(scalar)) {
    const from = match.index
    const to = from + match[0].length
    const isText = match[0].startsWith('"')
    colonNext.lastIndex = to
    if (isText && colonNext.test(text)) continue
    spans.push(isText && to - from > 2 ? { from: from + 1, to: to - 1 } : { from, to })
  }
  return spans
}
