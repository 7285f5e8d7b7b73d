import { hashText } from './hash-text.ts'

/** 2^26 bits: of a million tasks one in 67 that is not there is taken for one that is. */
const keptBits = 26

/** Tasks by a bit of their hash each: 8 MiB however many they are. What was added is there; others seldom seem to be. */
export interface TaskMarks {
  add(taskId: string): void
  has(taskId: string): boolean
}

export function createTaskMarks(): TaskMarks {
  const words = new Uint32Array(2 ** (keptBits - 5))
  const bitOf = (taskId: string): number => hashText(taskId) >>> (32 - keptBits)
  return {
    add(taskId) {
      const bit = bitOf(taskId)
      words[bit >>> 5]! |= 1 << (bit & 31)
    },
    has(taskId) {
      const bit = bitOf(taskId)
      return ((words[bit >>> 5]! >>> (bit & 31)) & 1) === 1
    },
  }
}
