import { hashWord } from './task-scan.ts'

/** How a message asks: whether each of these stands at its beginning, or anywhere in its stem. */
export const cueWords = (
  'what which who when where why how is are if find calculate compute solve determine explain describe list write give ' +
  'name according suppose let consider identify choose select true false best most least following statement except not ' +
  'all none both cause effect difference value many much number and also then each respectively every total average per ' +
  'please can show tell get create'
).split(' ')

const stopWords =
  'the of a an and or to in is are was were be been by for on with as at from that this it its which what who when where how ' +
  'why not no do does did has have had can could would will should may might must i you he she they we his her their your my ' +
  'our if then than so such but into over under about'
const firstPerson = 'i my me'

/**
 * Words that are counted as one. Most say how many steps of reasoning a question asks for: parts and rates to reckon with,
 * spans of time, comparisons, conditions, persons to keep apart; the first two say that several things are asked for.
 */
export const wordClasses = {
  sequence:
    'then also another additionally next finally after afterwards besides moreover lastly first second third plus',
  plural: 'both each respectively separately different two three four five several multiple every all following',
  parts: 'half third quarter twice double triple percent percentage fraction',
  time: 'hour hours minute minutes day days week weeks month months year years second seconds',
  rates: 'per each every times rate average total ratio',
  comparison: 'more less fewer than older younger remaining left rest',
  condition: 'if when after before until while',
  persons: 'he she they his her their',
} as const
export const wordClassNames = Object.keys(wordClasses) as (keyof typeof wordClasses)[]

/** Frequent words of German, French, Spanish, Italian, Portuguese and Dutch that are no English words. */
const otherLanguages =
  'der und das ist nicht ein eine auf für dem von zu wie welche wir ich sie auch wird sind bei einen einer ' +
  'le les des est une dans pour que qui sur avec pas vous nous je sont cette quel quelle comment ' +
  'el una por para como está qué cuál cómo más pero su sus del ' +
  'il di che un sono della nel quale quanto perché gli delle ' +
  'uma não das qual você são seu isso ' +
  'het een niet voor zijn wat deze wordt naar'

export const STOP_WORD = 1
export const FIRST_PERSON = 2
export const OTHER_LANGUAGE = 4
/** The bit of the first of `wordClassNames`; each of the others has the next one. */
export const FIRST_CLASS_BIT = 3

/** Open addressing over the hashes of all words that mean something here. */
const tableSize = 1_024
const tableKeys = new Int32Array(tableSize)

/** By `slotOf`: what a word is, as bits; 0 of most. */
export const wordRoles = new Uint16Array(tableSize)
/** By `slotOf`: the index of a cue word, -1 of others. */
export const wordCues = new Int16Array(tableSize).fill(-1)

export function slotOf(hash: number): number {
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

function enterAll(words: string, role: number): void {
  for (const word of words.split(' ')) wordRoles[enter(word)]! |= role
}

enterAll(stopWords, STOP_WORD)
enterAll(firstPerson, FIRST_PERSON)
enterAll(otherLanguages, OTHER_LANGUAGE)
for (const [index, name] of wordClassNames.entries()) enterAll(wordClasses[name], 1 << (FIRST_CLASS_BIT + index))
for (const [index, word] of cueWords.entries()) wordCues[enter(word)] = index
