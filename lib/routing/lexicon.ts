import { actionsOf } from './actions.ts'
import { isStopWord, root, termOf } from './words.ts'

/** What there is to know of a word by itself. */
export interface Lexeme {
  term: string
  root: string
  /** Verb families, see actions.ts. */
  actions: number
  isStopWord: boolean
  /** Tools of any trade use it. */
  isCommon: boolean
}

const commonWords = new Set(
  (
    'calculate compute find retrieve fetch search list show return provide specify specific specified base current ' +
    'information data detail value number amount type name unit identifier parameter option optional default function tool api ' +
    'object string integer float boolean array format result input output following certain particular different various user set mcp server v'
  )
    .split(' ')
    .map(termOf),
)

/** English has fewer in common use. Beyond them all are forgotten, so that made-up words cannot fill the memory. */
const mostWords = 20_000
/** V8 makes a substring of 13 characters or more a view that keeps its whole text in memory: these are not remembered. */
const longestWord = 12

const known = new Map<string, Lexeme>()

/** `word` is in lower case. Remembers: the words of tools come back at every step, and a stem costs more than a look-up. */
export function lexemeOf(word: string): Lexeme {
  const found = known.get(word)
  if (found) return found
  const term = termOf(word)
  const lexeme = {
    term,
    root: root(term),
    actions: actionsOf(term),
    isStopWord: isStopWord(word),
    isCommon: commonWords.has(term),
  }
  if (word.length > longestWord) return lexeme
  if (known.size >= mostWords) known.clear()
  known.set(word, lexeme)
  return lexeme
}
