import { charKinds, type TaskItem, type TaskScan } from './task-scan.ts'
import {
  cueWords,
  FIRST_CLASS_BIT,
  FIRST_PERSON,
  OTHER_LANGUAGE,
  slotOf,
  STOP_WORD,
  wordClassNames,
  wordCues,
  wordRoles,
} from './task-words.ts'

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
  // Of the whole message: what there is to reckon with and to keep apart, as plain counts.
  'ands',
  'ors',
  'comma_count',
  'distinct_numbers',
  'repeated_numbers',
  'longest_number',
  'decimals',
  'sentences',
  'longest_sentence',
  'longest_list',
  'repeated_words',
  'repeated_most',
  'repeated_share',
  'names_count',
  // What language it is in.
  'other_language',
  'cyrillic',
  'east_asian',
  'other_letters',
  ...wordClassNames.map((name) => `${name}_words` as const),
] as const

export const shapeSize = shapeNames.length + cueWords.length

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
  let foreign = 0
  classCounts.fill(0)
  let distinct = 0
  let distinctContent = 0
  let repeated = 0
  let most = 0
  beginSet()
  for (let index = 0; index < wordCount; index++) {
    const hash = words[index]!
    const slot = slotOf(hash)
    const role = wordRoles[slot]!
    if (distinct < mostEntered) {
      const count = countIn(hash)
      if (count === 1) distinct++
      if (!(role & STOP_WORD) && scan.lengths[index]! >= contentLetters) {
        if (count === 1) distinctContent++
        else if (count === 2) repeated++
        if (count > most) most = count
      }
    }
    if (role & STOP_WORD) stop++
    if (role > OTHER_LANGUAGE) countClasses(role >> FIRST_CLASS_BIT)
    if (role & OTHER_LANGUAGE) foreign++
    if (index >= stemWordCount) continue
    if (role & FIRST_PERSON) mine++
    const cue = wordCues[slot]!
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
  out[i++] = ofWords(distinct)
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
  i += itemFigures

  const distinctNumbers = enterWords(scan.numbers, 0, scan.numberCount, false)
  out[i++] = counted(scan.ands)
  out[i++] = counted(scan.ors)
  out[i++] = counted(chars[charKinds.comma]!)
  out[i++] = counted(distinctNumbers)
  out[i++] = counted(scan.numberCount - distinctNumbers)
  out[i++] = counted(scan.longestNumber)
  out[i++] = counted(scan.decimals)
  out[i++] = counted(scan.sentences)
  out[i++] = counted(scan.longestSentence)
  out[i++] = counted(scan.longestList)
  out[i++] = counted(repeated)
  out[i++] = counted(most)
  out[i++] = repeated / (distinctContent || 1)
  out[i++] = counted(scan.names)
  out[i++] = ofWords(foreign)
  out[i++] = scan.cyrillic / (total || 1)
  out[i++] = scan.eastAsian / (total || 1)
  out[i++] = scan.otherLetters / (total || 1)
  for (let index = 0; index < classCounts.length; index++) out[i++] = counted(classCounts[index]!)
}

/** Beyond this a count says no more. */
const mostCounted = 50

function counted(count: number): number {
  return Math.min(mostCounted, count)
}

const classCounts = new Int32Array(wordClassNames.length)

function countClasses(bits: number): void {
  for (let index = 0, rest = bits; rest !== 0; index++, rest >>= 1) classCounts[index]! += rest & 1
}

/** Figures that `readItems` writes. */
const itemFigures = 12

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
const setCounts = new Int32Array(setSize)
let setStamp = 0

function beginSet(): void {
  if (++setStamp < 0x7fffffff) return
  setStamps.fill(0)
  setStamp = 1
}

/** Words beyond these are not entered: the set must keep free slots. */
const mostEntered = setSize / 2

/** Makes the set that of these words; returns how many distinct ones. */
function enterWords(words: Int32Array, from: number, to: number, contentOnly: boolean): number {
  beginSet()
  let distinct = 0
  for (let index = from; index < to && distinct < mostEntered; index++) {
    const hash = words[index]!
    if (contentOnly && wordRoles[slotOf(hash)]! & STOP_WORD) continue
    if (!find(hash, true)) distinct++
  }
  return distinct
}

/** Whether the set holds it; `add` puts it there. */
function find(hash: number, add: boolean): boolean {
  const slot = slotIn(hash)
  if (setStamps[slot] === setStamp) return true
  if (add) {
    setStamps[slot] = setStamp
    setKeys[slot] = hash
  }
  return false
}

/** Enters it; how often it was entered by now. */
function countIn(hash: number): number {
  const slot = slotIn(hash)
  if (setStamps[slot] === setStamp) return ++setCounts[slot]!
  setStamps[slot] = setStamp
  setKeys[slot] = hash
  setCounts[slot] = 1
  return 1
}

/** Where it is in the set, or would be. */
function slotIn(hash: number): number {
  let slot = (hash ^ (hash >>> 13)) & (setSize - 1)
  while (setStamps[slot] === setStamp && setKeys[slot] !== hash) slot = (slot + 1) & (setSize - 1)
  return slot
}

/** A content word has at least so many letters. */
const contentLetters = 3

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
