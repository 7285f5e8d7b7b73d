import type { ChatMessage } from '#lib/events/chat-request'
import { textsOf } from './message-text.ts'

/** What a conversation offers to fill a call's arguments with. */
export interface RequestEvidence {
  numbers: number
  /** Names, ids, dates, addresses and quotations: what stands out of a sentence as a value. */
  values: number
}

const numberWords = new Set(
  (
    'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen ' +
    'nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half dozen both'
  ).split(' '),
)

/** More than this many change nothing: no tool requires as many arguments. */
const enough = 64

/** Counts over what the user and the tools said; instructions hold examples and rules, and the assistant repeats. */
export function readEvidence(messages: readonly ChatMessage[]): RequestEvidence {
  const evidence = { numbers: 0, values: 0 }
  for (let i = messages.length - 1; i >= 0; i--) {
    const message = messages[i]!
    if (message.role === 'user' || message.role === 'tool')
      for (const text of textsOf(message)) countEvidence(text, evidence)
  }
  return evidence
}

/** Word by word, between white space. */
function countEvidence(text: string, evidence: RequestEvidence): void {
  let quotes = 0
  let sentenceStart = true
  let inName = false
  let end = 0
  while (end < text.length && (evidence.numbers < enough || evidence.values < enough)) {
    let start = end
    while (start < text.length && text.charCodeAt(start) <= 32) start++
    end = start
    let digits = 0
    let letters = 0
    let joined = false
    let body = start
    for (; end < text.length && text.charCodeAt(end) > 32; end++) {
      const code = text.charCodeAt(end)
      if (code >= 48 && code <= 57) digits++
      else if (isWordCode(code)) letters++
      else if (isJoint(code) && letters + digits > 0) joined ||= isWordCode(text.charCodeAt(end + 1))
      else if (code === 34 || code === 0x201c || code === 0x201d) quotes++
      if (digits + letters === 0) body = end + 1
    }
    if (end === start) break
    const capital = letters > 0 && text.charCodeAt(body) >= 65 && text.charCodeAt(body) <= 90
    const isName = capital && digits === 0 && !joined && !sentenceStart
    if (digits > 0 && letters === 0 && !joined) evidence.numbers++
    else if (digits > 0 || joined || (isName && !inName)) evidence.values++
    else if (letters <= 9 && letters >= 3 && numberWords.has(text.slice(body, body + letters).toLowerCase()))
      evidence.numbers++
    inName = isName
    sentenceStart = endsSentence(text.charCodeAt(end - 1))
  }
  evidence.values += quotes >> 1
}

/** `.` `/` `@` `_` within a word make it an address, a path or an id; `-` and `'` do not. */
function isJoint(code: number): boolean {
  return code === 46 || code === 47 || code === 64 || code === 95
}

function isWordCode(code: number): boolean {
  return (code >= 48 && code <= 57) || ((code | 32) >= 97 && (code | 32) <= 122)
}

/** `.` `!` `?` `:` */
function endsSentence(code: number): boolean {
  return code === 46 || code === 33 || code === 63 || code === 58
}
