/** Words that say nothing about which tool is meant. */
const stopWords = new Set(
  (
    'a about all also am an and any are as at be been but by can could d did do does each for from get give given had has have ' +
    'he her here him his how i if in into is it its just let like ll m make may me more my need new no not now of on one or our out ' +
    'please re s she should so some such t than that the their them then there these they this to up us use used uses using ve want ' +
    'was we were what when where which who whose will with would you your'
  ).split(' '),
)

const LOWER = 1
const UPPER = 2
const BEYOND = 3
const IDEOGRAPH = 4

const classes = new Uint8Array(128)
for (let code = 65; code <= 90; code++) {
  classes[code] = UPPER
  classes[code + 32] = LOWER
}

function classOf(code: number): number {
  if (code < 128) return classes[code]!
  return code >= 0x2e80 && code < 0xd800 ? IDEOGRAPH : BEYOND
}

/**
 * The words of a text in lower case, in order: camelCase, snake_case and dotted names fall into their words. Chinese,
 * Japanese and Korean, which put no space between words, give every two neighbours.
 */
export function eachWord(text: string, visit: (word: string) => void): void {
  const { length } = text
  let i = 0
  let kind = length > 0 ? classOf(text.charCodeAt(0)) : 0
  while (i < length) {
    if (kind === 0) {
      i++
      if (i < length) kind = classOf(text.charCodeAt(i))
      continue
    }
    const start = i
    const first = kind
    let before = kind
    for (i++; i < length; i++) {
      kind = classOf(text.charCodeAt(i))
      if (kind === 0 || (kind === IDEOGRAPH) !== (first === IDEOGRAPH)) break
      if (kind === UPPER && before !== UPPER) break
      // The last capital of a run begins the word that follows it: HTTPServer.
      if (kind === LOWER && before === UPPER && i - start > 1) {
        i--
        kind = UPPER
        break
      }
      before = kind
    }
    if (first === IDEOGRAPH && i - start > 2) for (let at = start; at < i - 1; at++) visit(text.slice(at, at + 2))
    else visit(text.slice(start, i).toLowerCase())
  }
}

export function isStopWord(word: string): boolean {
  return stopWords.has(word)
}

/** Last letters of words whose plural takes `es`. Those in `-ce` and `-se` lose an `e` too much, alike in all forms. */
const sibilants = new Set(['h', 's', 'x', 'z'])

/** What is written short, the two words for what holds files, and what the end of a name says to be one. */
const fullForms = new Map(
  Object.entries({
    dir: 'directory',
    folder: 'directory',
    repo: 'repository',
    doc: 'document',
    msg: 'message',
    mail: 'email',
    img: 'image',
    photo: 'image',
    calc: 'calculate',
    config: 'configuration',
    db: 'database',
    pr: 'pull',
    org: 'organization',
    dm: 'message',
    id: 'identifier',
    num: 'number',
    info: 'information',
    txt: 'file',
    md: 'file',
    csv: 'file',
    pdf: 'file',
    xlsx: 'file',
  }).map(([short, full]) => [short, stem(full)]),
)

/** What words are compared by: the stem, of the full form where a word is short for another. */
export function termOf(word: string): string {
  const stemmed = stem(word)
  return fullForms.get(stemmed) ?? stemmed
}

/** A light stem: `searches`, `searching` and `searched` are `search`; `flights` is `flight`. */
export function stem(word: string): string {
  const { length } = word
  if (length > 5 && word.endsWith('ing')) return unfold(word.slice(0, -3))
  if (length > 4 && word.endsWith('ies')) return `${word.slice(0, -3)}y`
  if (length > 4 && word.endsWith('ed')) return unfold(word.slice(0, -2))
  if (length > 4 && word.endsWith('es') && sibilants.has(word[length - 3]!)) return unfold(word.slice(0, -2))
  if (length > 3 && word.endsWith('s') && !word.endsWith('ss') && !word.endsWith('us')) return stem(word.slice(0, -1))
  return unfold(word)
}

/** `cancell` and `cancel`, `calculate` and `calculat` become one. */
function unfold(stem: string): string {
  const { length } = stem
  if (length > 4 && stem.endsWith('e')) return stem.slice(0, -1)
  if (length > 4 && stem[length - 1] === stem[length - 2]) return stem.slice(0, -1)
  return stem
}

const rootLength = 5

/** What words of one family begin with: `capacitor` and `capacitance`. Weaker evidence than a stem. */
export function root(stem: string): string {
  return stem.length > rootLength ? stem.slice(0, rootLength) : stem
}
