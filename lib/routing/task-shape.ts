import { charKinds, hashWord, type TaskItem, type TaskScan } from './task-scan.ts'

/** What `readTaskShape` tells of a message, in its order; after these comes one figure for each of `cueWords`. */
export const shapeNames = [
  // Of the whole message: sizes as ln(1 + n); shares of its characters or words.
  'chars',
  'words',
  'digits',
  'operators',
  'brackets',
  'marks',
  'beyond_ascii',
  'commas',
  'quotes',
  'capitals',
  'stop_words',
  'distinct_words',
  'percent',
  'dollar',
  'assignment',
  'blank',
  'year',
  // Of its stem, which is what stands before the first list item.
  'stem_chars',
  'stem_words',
  'word_length',
  'numbers',
  'number_digits',
  'full_stops',
  'question_marks',
  'ends_question',
  'ends_colon',
  'ends_full_stop',
  'single_letters',
  'long_words',
  'names',
  'lines',
  'first_person',
  // Of the items of its list.
  'items',
  'item_chars',
  'item_spread',
  'item_shortest',
  'item_longest',
  'item_numeric',
  'item_digits',
  'item_words',
  'item_overlap',
  'items_alike',
  'item_capital',
  'item_operators',
] as const

/** How a message asks: whether each of these stands at its beginning, or anywhere in its stem. */
export const cueWords = (
  'what which who when where why how is are if find calculate compute solve determine explain describe list write give ' +
  'name according suppose let consider identify choose select true false best most least following statement except not ' +
  'all none both cause effect difference value many much number and also then each respectively every total average per ' +
  'please can show tell get create'
).split(' ')

export const shapeSize = shapeNames.length + cueWords.length

const stopWords =
  'the of a an and or to in is are was were be been by for on with as at from that this it its which what who when where how ' +
  'why not no do does did has have had can could would will should may might must i you he she they we his her their your my ' +
  'our if then than so such but into over under about'
const firstPerson = 'i my me'

/** Open addressing over the hashes of all words that mean something here. */
const tableSize = 1_024
const tableKeys = new Int32Array(tableSize)
const tableRoles = new Uint8Array(tableSize)
const tableCues = new Int16Array(tableSize).fill(-1)
const STOP_WORD = 1
const FIRST_PERSON = 2

function slotOf(hash: number): number {
  let slot = (hash ^ (hash >>> 15)) & (tableSize - 1)
  while (tableKeys[slot] !== 0 && tableKeys[slot] !== hash) slot = (slot + 1) & (tableSize - 1)
  return slot
}

function enter(word: string): number {
  const hash = hashWord(word)
  const slot = slotOf(hash)
  tableKeys[slot] = hash
  return slot
}
for (const word of stopWords.split(' ')) tableRoles[enter(word)]! |= STOP_WORD
for (const word of firstPerson.split(' ')) tableRoles[enter(word)]! |= FIRST_PERSON
for (const [index, word] of cueWords.entries()) tableCues[enter(word)] = index

const longWord = 9
/** A cue among the first words counts twice one that stands later. */
const firstWords = 4
/** Items beyond these are not compared with each other: the comparison is quadratic. */
const comparedItems = 10

/**
 * How a user's message is put, as figures that grow with ln(1 + n) or are shares. Read by trees, so their scale says
 * nothing. Writes `shapeSize` figures from `at` on.
 */
export function readTaskShape(scan: TaskScan, out: Float32Array, at: number): void {
  const { chars, stemChars, wordCount, words, stemWordCount } = scan
  let total = 0
  for (let kind = 0; kind < chars.length; kind++) total += chars[kind]!
  let stemTotal = 0
  for (let kind = 0; kind < stemChars.length; kind++) stemTotal += stemChars[kind]!

  out.fill(0, at, at + shapeSize)
  const cuesAt = at + shapeNames.length
  let stop = 0
  let mine = 0
  let letters = 0
  let single = 0
  let long = 0
  let names = 0
  for (let index = 0; index < wordCount; index++) {
    const slot = slotOf(words[index]!)
    const role = tableRoles[slot]!
    if (role & STOP_WORD) stop++
    if (index >= stemWordCount) continue
    if (role & FIRST_PERSON) mine++
    const cue = tableCues[slot]!
    if (cue >= 0) out[cuesAt + cue] = Math.max(out[cuesAt + cue]!, index < firstWords ? 1 : 0.5)
    const length = scan.lengths[index]!
    letters += length
    if (length === 1) single++
    if (length >= longWord) long++
    names += scan.capitals[index]!
  }

  const share = (kind: number) => chars[kind]! / (total || 1)
  const ofWords = (count: number) => count / (wordCount || 1)
  const ofStem = (count: number) => count / (stemWordCount || 1)
  const { stemEnd } = scan
  let i = at
  out[i++] = Math.log1p(total)
  out[i++] = Math.log1p(wordCount)
  out[i++] = share(charKinds.digit)
  out[i++] = share(charKinds.operator)
  out[i++] = share(charKinds.bracket)
  out[i++] = share(charKinds.mark)
  out[i++] = share(charKinds.beyondAscii)
  out[i++] = share(charKinds.comma)
  out[i++] = share(charKinds.quote)
  out[i++] = share(charKinds.upper)
  out[i++] = ofWords(stop)
  out[i++] = ofWords(enterWords(words, 0, wordCount, false))
  out[i++] = chars[charKinds.percent]! > 0 ? 1 : 0
  out[i++] = chars[charKinds.dollar]! > 0 ? 1 : 0
  out[i++] = Math.log1p(scan.assignments)
  out[i++] = scan.blanks > 0 ? 1 : 0
  out[i++] = scan.years > 0 ? 1 : 0

  out[i++] = Math.log1p(stemTotal)
  out[i++] = Math.log1p(stemWordCount)
  out[i++] = ofStem(letters)
  out[i++] = Math.log1p(scan.stemNumbers)
  out[i++] = Math.log1p(stemChars[charKinds.digit]!)
  out[i++] = Math.log1p(stemChars[charKinds.fullStop]!)
  out[i++] = stemChars[charKinds.question]!
  out[i++] = stemEnd === 63 ? 1 : 0
  out[i++] = stemEnd === 58 ? 1 : 0
  out[i++] = stemEnd === 46 ? 1 : 0
  out[i++] = ofStem(single)
  out[i++] = ofStem(long)
  out[i++] = ofStem(names)
  out[i++] = Math.log1p(stemChars[charKinds.newline]!)
  out[i++] = ofStem(mine)

  if (scan.items.length > 0) readItems(scan, out, i)
}

function readItems({ items, words, stemWordCount }: TaskScan, out: Float32Array, at: number): void {
  const count = items.length
  let chars = 0
  let squares = 0
  let shortest = Infinity
  let longest = 0
  let numeric = 0
  let withDigits = 0
  let itemWords = 0
  let capital = 0
  let operators = 0
  for (const item of items) {
    chars += item.chars
    squares += item.chars * item.chars
    shortest = Math.min(shortest, item.chars)
    longest = Math.max(longest, item.chars)
    if (item.digits > 0) withDigits++
    if (item.digits > 0 && item.letters === 0) numeric++
    itemWords += item.endWord - item.firstWord
    if (item.startsWithCapital) capital++
    operators += item.operators / item.chars
  }
  const mean = chars / count
  const compared = items.slice(0, comparedItems)
  let overlap = 0
  let alike = 0
  let pairs = 0
  enterWords(words, 0, stemWordCount, true)
  for (const item of compared) overlap += shareEntered(words, item)
  for (const [index, item] of compared.entries())
    for (const other of compared.slice(0, index)) {
      alike += likeness(words, item, other)
      pairs++
    }
  let i = at
  out[i++] = count
  out[i++] = Math.log1p(mean)
  out[i++] = Math.log1p(Math.sqrt(Math.max(0, squares / count - mean * mean)))
  out[i++] = Math.log1p(shortest)
  out[i++] = Math.log1p(longest)
  out[i++] = numeric / count
  out[i++] = withDigits / count
  out[i++] = itemWords / count
  out[i++] = overlap / compared.length
  out[i++] = pairs === 0 ? 0 : alike / pairs
  out[i++] = capital / count
  out[i++] = operators / count
}

/** Stamps of a small hash set; its slots are never cleared. */
const setSize = 1 << 14
const setStamps = new Int32Array(setSize)
const setKeys = new Int32Array(setSize)
let setStamp = 0

/** Words beyond these are not entered: the set must keep free slots. */
const mostEntered = setSize / 2

/** Makes the set that of these words; returns how many distinct ones. */
function enterWords(words: Int32Array, from: number, to: number, contentOnly: boolean): number {
  if (++setStamp === 0x7fffffff) {
    setStamps.fill(0)
    setStamp = 1
  }
  let distinct = 0
  for (let index = from; index < to && distinct < mostEntered; index++) {
    const hash = words[index]!
    if (contentOnly && tableRoles[slotOf(hash)]! & STOP_WORD) continue
    if (!find(hash, true)) distinct++
  }
  return distinct
}

/** Whether the set holds it; `add` puts it there. */
function find(hash: number, add: boolean): boolean {
  let slot = (hash ^ (hash >>> 13)) & (setSize - 1)
  while (setStamps[slot] === setStamp) {
    if (setKeys[slot] === hash) return true
    slot = (slot + 1) & (setSize - 1)
  }
  if (add) {
    setStamps[slot] = setStamp
    setKeys[slot] = hash
  }
  return false
}

/** Part of an item's words that are in the set. */
function shareEntered(words: Int32Array, item: TaskItem): number {
  let shared = 0
  for (let index = item.firstWord; index < item.endWord; index++) if (find(words[index]!, false)) shared++
  return shared / (item.endWord - item.firstWord || 1)
}

/** Jaccard's index of the words of two items. */
function likeness(words: Int32Array, a: TaskItem, b: TaskItem): number {
  const distinctB = enterWords(words, b.firstWord, b.endWord, false)
  let shared = 0
  let onlyA = 0
  for (let index = a.firstWord; index < a.endWord; index++) {
    if (find(words[index]!, false)) shared++
    else onlyA++
  }
  const union = distinctB + onlyA
  return union === 0 ? 0 : Math.min(1, shared / union)
}
