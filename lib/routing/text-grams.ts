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

const SEPARATOR = 0
const WORD = 1

const classes = new Uint8Array(128)
/** ASCII letters in lower case. */
const folded = new Uint8Array(128)
for (let code = 0; code < 128; code++) {
  const isUpper = code >= 65 && code <= 90
  const isWord = isUpper || (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code === 95
  classes[code] = isWord ? WORD : SEPARATOR
  folded[code] = isUpper ? code + 32 : code
}

/** Distinct buckets, in order: a bucket is in the set while its stamp is that of the present text. */
class BucketSet {
  readonly #stamps: Int32Array
  #stamp = 0
  #buckets = new Int32Array(1_024)
  #count = 0
  constructor(buckets: number) {
    this.#stamps = new Int32Array(buckets)
  }
  begin(): void {
    this.#count = 0
    if (this.#stamp === 0x7fffffff) {
      this.#stamps.fill(0)
      this.#stamp = 0
    }
    this.#stamp++
  }
  add(bucket: number): void {
    if (this.#stamps[bucket] === this.#stamp) return
    this.#stamps[bucket] = this.#stamp
    if (this.#count === this.#buckets.length) {
      const larger = new Int32Array(2 * this.#count)
      larger.set(this.#buckets)
      this.#buckets = larger
    }
    this.#buckets[this.#count++] = bucket
  }
  view(): Int32Array {
    return this.#buckets.subarray(0, this.#count)
  }
}

const words = new BucketSet(wordBuckets)
const pieces = new BucketSet(pieceBuckets)
const terms = new BucketSet(termBuckets)

/** Told apart by their seeds: the same word says another thing in an earlier turn, or as the name of a tool. */
const taskSeed = 0x2f0b4c47
const contextSeed = 0x51ed270b
const toolSeed = 0x7a1c3d95

/**
 * The n-grams of a request: words, pairs and pieces of the user's last message, words alone of all other messages, of
 * calls, and of the tools' names. The result is a view that the next call overwrites. Linear in the request's length.
 */
export function readGrams(request: Pick<ChatRequest, 'messages' | 'tools'>): Grams {
  words.begin()
  pieces.begin()
  terms.begin()
  const { messages, tools } = request
  const task = messages.findLastIndex((message) => message.role === 'user')
  for (const [index, message] of messages.entries()) {
    if (index === task) for (const text of textsOf(message)) scanTask(text)
    else for (const text of textsOf(message)) scanWords(text, contextSeed)
    if (message.role !== 'assistant') continue
    for (const call of message.tool_calls ?? []) scanWords(call.function.name, contextSeed)
  }
  for (const tool of tools ?? []) scanWords(tool.function.name, toolSeed)
  return { words: words.view(), pieces: pieces.view(), terms: terms.view() }
}

function scanTask(text: string): void {
  let hash = taskSeed
  let before = taskSeed
  let window = 0
  let length = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 32
    const inWord = code < 128 ? classes[code] === WORD : true
    if (inWord) {
      const letter = code < 128 ? folded[code]! : code
      hash = Math.imul(hash ^ letter, 0x01000193)
      // A word begins and ends with a blank in its pieces, so that they know where they stand.
      window = length === 0 ? (32 << 8) | (letter & 0xff) : (window << 8) | (letter & 0xff)
      length++
      if (length >= 3) pieces.add(mix(window) & (pieceBuckets - 1))
    } else if (length > 0) {
      pieces.add(mix((window << 8) | 32) & (pieceBuckets - 1))
      const word = mix(hash)
      words.add(word & (wordBuckets - 1))
      terms.add(word & (termBuckets - 1))
      words.add(mix(word ^ Math.imul(before, 0x9e3779b1)) & (wordBuckets - 1))
      before = word
      hash = taskSeed
      length = 0
    }
  }
}

function scanWords(text: string, seed: number): void {
  let hash = seed
  let length = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 32
    if (code < 128 ? classes[code] === WORD : true) {
      hash = Math.imul(hash ^ (code < 128 ? folded[code]! : code), 0x01000193)
      length++
    } else if (length > 0) {
      words.add(mix(hash) & (wordBuckets - 1))
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
