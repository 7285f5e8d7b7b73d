/**
 * What one pass over a user's message finds: its words, and the kinds of characters of its stem and of each item of the
 * list in it, where it enumerates one (choices, steps, cases). In buffers that the next call overwrites.
 */
export interface TaskScan {
  /** Over the whole message, by `charKinds`. */
  chars: Int32Array
  /** The same of what stands before the first item. */
  stemChars: Int32Array
  /** Runs of digits before the first item. */
  stemNumbers: number
  /** Last character of the stem that is no white space; 0 of an empty one. */
  stemEnd: number
  /** An `=` or an opening bracket right after a letter that stands alone: `x = 3`, `f(2)`. */
  assignments: number
  /** A year from 1900 to 2099. */
  years: number
  /** Two underscores together: a gap to fill. */
  blanks: number
  /** Hashes of the numbers, `1,000.50` being one. */
  numbers: Int32Array
  numberCount: number
  /** Characters of the longest number. */
  longestNumber: number
  decimals: number
  ands: number
  ors: number
  /** Most parts of at most four words one after the other, between commas, semicolons, `and` and `or`. */
  longestList: number
  sentences: number
  /** Words of the longest sentence; a line ends one. */
  longestSentence: number
  /** Capitalised words together, not at the beginning of a sentence. */
  names: number
  cyrillic: number
  /** Chinese, Japanese, Korean. */
  eastAsian: number
  /** Of other scripts than Latin. */
  otherLetters: number
  wordCount: number
  /** Hashes of the words in lower case. */
  words: Int32Array
  lengths: Uint16Array
  /** 1 where the word begins with a capital. */
  capitals: Uint8Array
  /** Words before this index are of the stem. */
  stemWordCount: number
  items: readonly TaskItem[]
}

export interface TaskItem {
  chars: number
  letters: number
  digits: number
  operators: number
  startsWithCapital: boolean
  firstWord: number
  /** Past the last one. */
  endWord: number
}

export const charKinds = {
  space: 0,
  lower: 1,
  upper: 2,
  digit: 3,
  operator: 4,
  bracket: 5,
  mark: 6,
  comma: 7,
  quote: 8,
  fullStop: 9,
  question: 10,
  percent: 11,
  dollar: 12,
  beyondAscii: 13,
  newline: 14,
  other: 15,
} as const
const kindCount = 16

const kinds = new Uint8Array(128).fill(charKinds.other)
const put = (characters: string, kind: number) => {
  for (const character of characters) kinds[character.charCodeAt(0)] = kind
}
for (let code = 0; code <= 32; code++) kinds[code] = charKinds.space
for (let code = 48; code <= 57; code++) kinds[code] = charKinds.digit
for (let code = 65; code <= 90; code++) {
  kinds[code] = charKinds.upper
  kinds[code + 32] = charKinds.lower
}
put('=+*/^<>', charKinds.operator)
put('()[]{}', charKinds.bracket)
put('_\\`|', charKinds.mark)
put(',', charKinds.comma)
put('"\'', charKinds.quote)
put('.', charKinds.fullStop)
put('?', charKinds.question)
put('%', charKinds.percent)
put('$', charKinds.dollar)
put('\n', charKinds.newline)

const scan = {
  chars: new Int32Array(kindCount),
  stemChars: new Int32Array(kindCount),
  stemNumbers: 0,
  stemEnd: 0,
  assignments: 0,
  years: 0,
  blanks: 0,
  numbers: new Int32Array(256),
  numberCount: 0,
  longestNumber: 0,
  decimals: 0,
  ands: 0,
  ors: 0,
  longestList: 0,
  sentences: 0,
  longestSentence: 0,
  names: 0,
  cyrillic: 0,
  eastAsian: 0,
  otherLetters: 0,
  wordCount: 0,
  words: new Int32Array(1_024),
  lengths: new Uint16Array(1_024),
  capitals: new Uint8Array(1_024),
  stemWordCount: 0,
  items: [] as TaskItem[],
}

/** Hash of a word in lower case, as `scanTask` gives it. */
export function hashWord(word: string): number {
  let hash = hashSeed
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), hashPrime)
  return hash
}
/** FNV-1a. */
const hashSeed = 0x811c9dc5 | 0
const hashPrime = 0x01000193

export function scanTask(text: string): TaskScan {
  scan.chars.fill(0)
  scan.stemChars.fill(0)
  scan.stemNumbers = scan.stemEnd = scan.assignments = scan.years = scan.blanks = scan.wordCount = 0
  scan.numberCount = scan.longestNumber = scan.decimals = scan.ands = scan.ors = scan.longestList = 0
  scan.sentences = scan.longestSentence = scan.names = scan.cyrillic = scan.eastAsian = scan.otherLetters = 0
  scan.stemWordCount = -1
  scan.items = []
  partStart = sentenceStart = list = 0
  inName = false
  let start = 0
  while (start <= text.length) {
    let end = text.indexOf('\n', start)
    if (end === -1) end = text.length
    const content = itemContent(text, start, end)
    if (content !== -1) {
      if (scan.stemWordCount === -1) scan.stemWordCount = scan.wordCount
      readItem(text, content, end)
    } else readLine(text, start, end, scan.stemWordCount === -1)
    if (end < text.length) {
      scan.chars[charKinds.newline]!++
      if (scan.stemWordCount === -1) scan.stemChars[charKinds.newline]!++
    }
    start = end + 1
  }
  if (scan.stemWordCount === -1) scan.stemWordCount = scan.wordCount
  return scan
}

/** Where the text of a list item begins, after `A.`, `(b)`, `3)`, `12:`; -1 where the line is none. */
function itemContent(text: string, start: number, end: number): number {
  let i = start
  while (i < end && text.charCodeAt(i) <= 32) i++
  if (text.charCodeAt(i) === 40) i++
  const first = text.charCodeAt(i) | 32
  if (first >= 97 && first <= 106 && kinds[text.charCodeAt(i)] !== charKinds.digit) i++
  else {
    const digits = i
    while (i < end && i - digits < 2 && kinds[text.charCodeAt(i)] === charKinds.digit) i++
    if (i === digits) return -1
  }
  const after = text.charCodeAt(i)
  if (i >= end || (after !== 46 && after !== 41 && after !== 58)) return -1
  const gap = ++i
  while (i < end && text.charCodeAt(i) <= 32) i++
  return i > gap && i < end ? i : -1
}

const line = new Int32Array(kindCount)

function readItem(text: string, start: number, end: number): void {
  const firstWord = scan.wordCount
  readLine(text, start, end, false)
  const first = text.charCodeAt(start)
  scan.items.push({
    chars: end - start,
    letters: line[charKinds.lower]! + line[charKinds.upper]! + line[charKinds.beyondAscii]!,
    digits: line[charKinds.digit]!,
    operators: line[charKinds.operator]! + line[charKinds.bracket]!,
    startsWithCapital: first >= 65 && first <= 90,
    firstWord,
    endWord: scan.wordCount,
  })
}

function readLine(text: string, start: number, end: number, isStem: boolean): void {
  line.fill(0)
  let hash = hashSeed
  let length = 0
  let capital = 0
  let digits = 0
  let number = 0
  let numberHash = hashSeed
  let numberLength = 0
  let lower = 0
  for (let i = start; i <= end; i++) {
    const code = i < end ? text.charCodeAt(i) : 32
    // Most characters are these, and inside a word they say nothing more.
    if (code >= 97 && code <= 122 && digits === 0) {
      lower++
      if (length === 0) capital = 0
      hash = Math.imul(hash ^ code, hashPrime)
      length++
      continue
    }
    const kind = code < 128 ? kinds[code]! : charKinds.beyondAscii
    if (i < end) line[kind]!++
    if (kind === charKinds.beyondAscii) countScript(code)
    if (kind === charKinds.lower || kind === charKinds.upper || kind === charKinds.beyondAscii) {
      if (length === 0) capital = kind === charKinds.upper ? 1 : 0
      hash = Math.imul(hash ^ (kind === charKinds.upper ? code | 32 : code), hashPrime)
      length++
    } else if (length > 0) {
      addWord(hash, length, capital)
      if (length === 1 && (code === 61 || code === 40 || (code === 32 && text.charCodeAt(i + 1) === 61)))
        scan.assignments++
      hash = hashSeed
      length = 0
    }
    if (kind === charKinds.digit) {
      digits++
      number = number * 10 + code - 48
    } else if (digits > 0) {
      if (isStem) scan.stemNumbers++
      if (digits === 4 && number >= 1900 && number < 2100) scan.years++
      digits = number = 0
    }
    if (kind === charKinds.digit) {
      numberHash = Math.imul(numberHash ^ code, hashPrime)
      numberLength++
    } else if (numberLength > 0) {
      const goesOn = (code === 44 || code === 46) && kinds[text.charCodeAt(i + 1)] === charKinds.digit
      if (goesOn) numberLength++
      else {
        addNumber(numberHash, numberLength)
        numberHash = hashSeed
        numberLength = 0
      }
      if (goesOn && code === 46) scan.decimals++
    }
    if (code === 44 || code === 59) endPart()
    else if (kind === charKinds.space && i > start && endsSentence(text.charCodeAt(i - 1))) endSentence()
    else if (code === 95 && i > start && text.charCodeAt(i - 1) === 95) scan.blanks++
  }
  endSentence()
  line[charKinds.lower]! += lower
  for (let kind = 0; kind < kindCount; kind++) {
    scan.chars[kind]! += line[kind]!
    if (isStem) scan.stemChars[kind]! += line[kind]!
  }
  if (!isStem) return
  let last = end - 1
  while (last >= start && text.charCodeAt(last) <= 32) last--
  if (last >= start) scan.stemEnd = text.charCodeAt(last)
}

/** Words of one part of a list, at most. */
const partWords = 4
const andHash = hashWord('and')
const orHash = hashWord('or')

/** Where the present part and sentence begin, and how long the present list is. */
let partStart = 0
let sentenceStart = 0
let list = 0
let inName = false

function endPart(): void {
  const words = scan.wordCount - partStart
  list = words > 0 && words <= partWords ? list + 1 : 0
  if (list > scan.longestList) scan.longestList = list
  partStart = scan.wordCount
  inName = false
}

function endSentence(): void {
  const words = scan.wordCount - sentenceStart
  if (words === 0) return
  endPart()
  list = 0
  scan.sentences++
  if (words > scan.longestSentence) scan.longestSentence = words
  sentenceStart = scan.wordCount
}

/** `.` `!` `?` */
function endsSentence(code: number): boolean {
  return code === 46 || code === 33 || code === 63
}

function countScript(code: number): void {
  if (code >= 0x2e80 && code < 0xfb00) scan.eastAsian++
  else if (code >= 0x400 && code < 0x530) scan.cyrillic++
  else if (code >= 0x370 && code < 0x2000) scan.otherLetters++
}

function addNumber(hash: number, length: number): void {
  if (length > scan.longestNumber) scan.longestNumber = length
  if (scan.numberCount < scan.numbers.length) scan.numbers[scan.numberCount++] = hash
}

function addWord(hash: number, length: number, capital: number): void {
  if (hash === andHash || hash === orHash) {
    if (hash === andHash) scan.ands++
    else scan.ors++
    endPart()
    partStart++
  }
  const isName = capital === 1 && scan.wordCount > sentenceStart
  if (isName && !inName) scan.names++
  inName = isName
  const index = scan.wordCount++
  if (index === scan.words.length) {
    const words = new Int32Array(2 * index)
    const lengths = new Uint16Array(2 * index)
    const capitals = new Uint8Array(2 * index)
    words.set(scan.words)
    lengths.set(scan.lengths)
    capitals.set(scan.capitals)
    Object.assign(scan, { words, lengths, capitals })
  }
  scan.words[index] = hash
  scan.lengths[index] = Math.min(length, 65_535)
  scan.capitals[index] = capital
}
