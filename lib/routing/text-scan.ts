/** What one pass over a text counts. */
export interface TextCounts {
  chars: number
  /** Runs of letters. */
  words: number
  /** Runs of digits. */
  numbers: number
  /** Characters beyond ASCII. */
  nonAscii: number
  /** `{ } ( ) [ ] ; = < > _ \ ` and backticks: rare in prose, common in code and markup. */
  codeMarks: number
  /** Upper estimate, see token-estimate.ts. In quarters of a token, so that it stays an integer. */
  tokenQuarters: number
}

export function emptyCounts(): TextCounts {
  return { chars: 0, words: 0, numbers: 0, nonAscii: 0, codeMarks: 0, tokenQuarters: 0 }
}

export function addCounts(from: Readonly<TextCounts>, to: TextCounts): void {
  for (const key of Object.keys(to) as (keyof TextCounts)[]) to[key] += from[key]
}

const SPACE = 0
const LETTER = 1
const DIGIT = 2
const MARK = 3
const CODE_MARK = 4
const BEYOND = 5

const classes = new Uint8Array(128).fill(MARK)
for (let code = 0; code <= 32; code++) classes[code] = SPACE
for (let code = 48; code <= 57; code++) classes[code] = DIGIT
for (let code = 65; code <= 90; code++) classes[code] = classes[code + 32] = LETTER
for (const mark of '{}()[];=<>_\\`') classes[mark.charCodeAt(0)] = CODE_MARK

/** Adds the text to the counts. One pass, no allocation: it runs over every character of every step. */
export function scanText(text: string, counts: TextCounts): void {
  let before = SPACE
  let beforeUpper = false
  let run = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const kind = code < 128 ? classes[code]! : BEYOND
    const upper = kind === LETTER && code <= 90
    const same = kind === before || (kind >= MARK && kind < BEYOND && before >= MARK && before < BEYOND)
    run = same ? run + 1 : 1
    switch (kind) {
      case LETTER:
        if (!same) counts.words++
        // A piece begins with a word and with a capital inside one; long ones and capitals are several tokens.
        if (!same || (upper && !beforeUpper)) {
          counts.tokenQuarters += quartersPerPiece
          run = 1
        } else if (run > shortPiece || (upper && beforeUpper)) counts.tokenQuarters += quartersPerLetterBeyond
        break
      case DIGIT:
        if (!same) counts.numbers++
        counts.tokenQuarters += quartersPerDigit
        break
      case CODE_MARK:
        counts.codeMarks++
        counts.tokenQuarters += run === 1 ? quartersPerMark : quartersPerMarkInRun
        break
      case MARK:
        counts.tokenQuarters += run === 1 ? quartersPerMark : quartersPerMarkInRun
        break
      case SPACE:
        // One space belongs to the word that follows it.
        if (code !== 32 || run === 2) counts.tokenQuarters += run <= 2 ? quartersPerSpaceRun : 0
        break
      default:
        counts.nonAscii++
        counts.tokenQuarters += quartersBeyondAscii(code, run)
    }
    before = kind
    beforeUpper = upper
  }
  counts.chars += text.length
}

/*
 * Quarters of a token a piece of text counts for. Fitted to lie above what GPT's o200k and Gemma's tokenizers make of
 * English, JSON, code and other scripts, and no further than it needs to (token-estimate.ts has the figures).
 */
const quartersPerPiece = 5
const shortPiece = 7
const quartersPerLetterBeyond = 1
const quartersPerDigit = 4
const quartersPerMark = 4
const quartersPerMarkInRun = 3
const quartersPerSpaceRun = 4

function quartersBeyondAscii(code: number, run: number): number {
  // Latin with accents, Greek, Cyrillic, Hebrew, Arabic: a letter alone among ASCII splits its word.
  if (code < 0x800) return run === 1 ? 4 : 2
  // Indic and Thai, then CJK, Kana and Hangul: in the vocabularies.
  if (code >= 0x900 && code < 0xe80) return 4
  if (code >= 0x2e80 && code < 0xd800) return 5
  // Rare scripts and each half of a surrogate pair fall apart into bytes.
  return 9
}
