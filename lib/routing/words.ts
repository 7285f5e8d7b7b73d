/** Words that say nothing about which tool is meant. */
const stopWords = new Set(
  (
    'a about all also am an and any are as at be been but by can could did do does each for from get give given had has have ' +
    'he her here him his how i if in into is it its just let like make may me more my need new no not now of on one or our out ' +
    'please she should so some such than that the their them then there these they this to up us use used uses using want was we ' +
    'were what when where which who whose will with would you your'
  ).split(' '),
)

const pieces = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[\u0080-\uffff]+/g

/**
 * The content words of a text, as stems, each once: camelCase, snake_case and dotted names fall into their words.
 * Other scripts are taken between white space and ASCII.
 */
export function addWords(text: string, into: (stem: string) => void): void {
  for (const piece of text.match(pieces) ?? []) {
    const word = piece.toLowerCase()
    if (!stopWords.has(word)) into(stem(word))
  }
}

/** Last letters of words whose plural takes `es`. Those in `-ce` and `-se` lose an `e` too much, alike in all forms. */
const sibilants = new Set(['h', 's', 'x', 'z'])

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
