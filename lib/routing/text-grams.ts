import type { ChatRequest } from '#lib/events/chat-request'
import { textsOf } from './message-text.ts'

/**
 * A text as hashed n-grams: its words and word pairs, and the four-letter pieces of its words, each of them once.
 * Feature hashing (Weinberger et al. 2009, arXiv:0902.2206): no vocabulary has to be kept, and none can be outgrown.
 */
export interface Grams {
  /** Buckets of words and word pairs, below `wordBuckets`, in the order of their first appearance. */
  words: Int32Array
  /** Buckets of pieces of words, below `pieceBuckets`. */
  pieces: Int32Array
  /** Buckets of words alone, below `termBuckets`: for the latent dimensions. */
  terms: Int32Array
}

export const wordBuckets = 1 << 15
export const pieceBuckets = 1 << 15
export const termBuckets = 1 << 14

/** Letters, digits and `_` in lower case; 0 for what separates words. */
const folded = new Uint8Array(128)
for (let code = 0; code < 128; code++) {
  const isUpper = code >= 65 && code <= 90
  if (isUpper) folded[code] = code + 32
  else if ((code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code === 95) folded[code] = code
}

/** Distinct buckets in order: one is in the set while its stamp is that of the present text. As large as it can get. */
interface BucketSet {
  stamps: Int32Array
  stamp: number
  list: Int32Array
  count: number
}

function makeSet(buckets: number): BucketSet {
  return { stamps: new Int32Array(buckets), stamp: 0, list: new Int32Array(buckets), count: 0 }
}

function begin(set: BucketSet): void {
  set.count = 0
  if (++set.stamp < 0x7fffffff) return
  set.stamps.fill(0)
  set.stamp = 1
}

function add(set: BucketSet, bucket: number): void {
  if (set.stamps[bucket] === set.stamp) return
  set.stamps[bucket] = set.stamp
  set.list[set.count++] = bucket
}

function view({ list, count }: BucketSet): Int32Array {
  return list.subarray(0, count)
}

const words = makeSet(wordBuckets)
const pieces = makeSet(pieceBuckets)
const terms = makeSet(termBuckets)

/** Told apart by their seeds: the same word says another thing in an earlier turn, or as the name of a tool. */
const taskSeed = 0x2f0b4c47
const contextSeed = 0x51ed270b
const toolSeed = 0x7a1c3d95

/**
 * The n-grams of a request: words, pairs and pieces of the user's last message, words alone of all other messages, of
 * calls, and of the tools' names. The result is a view that the next call overwrites. Linear in the request's length.
 */
export function readGrams(request: Pick<ChatRequest, 'messages' | 'tools'>): Grams {
  begin(words)
  begin(pieces)
  begin(terms)
  const { messages, tools } = request
  const task = messages.findLastIndex((message) => message.role === 'user')
  for (const [index, message] of messages.entries()) {
    if (index === task) for (const text of textsOf(message)) scanTask(text)
    else for (const text of textsOf(message)) scanWords(text, contextSeed)
    if (message.role !== 'assistant') continue
    for (const call of message.tool_calls ?? []) scanWords(call.function.name, contextSeed)
  }
  for (const tool of tools ?? []) scanWords(tool.function.name, toolSeed)
  return { words: view(words), pieces: view(pieces), terms: view(terms) }
}

function scanTask(text: string): void {
  const { stamps, stamp, list } = pieces
  let { count } = pieces
  let hash = taskSeed
  let before = taskSeed
  let window = 0
  let length = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 32
    const letter = code < 128 ? folded[code]! : code
    if (letter !== 0) {
      hash = Math.imul(hash ^ letter, 0x01000193)
      // A word begins and ends with a blank in its pieces, so that they know where they stand.
      window = length++ === 0 ? (32 << 8) | (letter & 0xff) : (window << 8) | (letter & 0xff)
      if (length < 3) continue
    } else if (length > 0) {
      const word = mix(hash)
      add(words, word & (wordBuckets - 1))
      add(terms, word & (termBuckets - 1))
      add(words, mix(word ^ Math.imul(before, 0x9e3779b1)) & (wordBuckets - 1))
      before = word
      hash = taskSeed
      length = 0
      window = (window << 8) | 32
    } else continue
    // In place of add(): it is done for every letter.
    const piece = mix(window) & (pieceBuckets - 1)
    if (stamps[piece] === stamp) continue
    stamps[piece] = stamp
    list[count++] = piece
  }
  pieces.count = count
}

function scanWords(text: string, seed: number): void {
  let hash = seed
  let length = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 32
    const letter = code < 128 ? folded[code]! : code
    if (letter !== 0) {
      hash = Math.imul(hash ^ letter, 0x01000193)
      length++
    } else if (length > 0) {
      add(words, mix(hash) & (wordBuckets - 1))
      hash = seed
      length = 0
    }
  }
}

/** FNV-1a leaves its low bits poorly mixed: the finaliser of MurmurHash3. */
function mix(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
