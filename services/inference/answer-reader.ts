import type { AnswerForm } from './prompt-format.ts'
import { createStopText } from './stop-text.ts'

/** What a client is told while an answer is written. */
export type AnswerEvent =
  { type: 'text'; text: string } | { type: 'call'; name: string } | { type: 'arguments'; text: string }

export interface AnswerReader {
  /** `ended` when a stop text was met: nothing more is to be written. */
  push(text: string): { events: AnswerEvent[]; ended: boolean }
  /** What was held back, once the model has ended. */
  finish(): AnswerEvent[]
}

/**
 * Reads what the model writes as text or as a tool call, while it is written. Stop texts do not apply within a call:
 * they may well stand in an argument, and the grammar ends it.
 */
export function createAnswerReader(form: AnswerForm, stop: readonly string[]): AnswerReader {
  const stopText = createStopText(stop)
  let state: 'choice' | 'name' | 'arguments' | 'text' = form.kind === 'call' ? 'name' : form.kind
  let unread = ''
  let announced = form.kind !== 'arguments'

  function chosen(): boolean {
    if (form.kind !== 'choice') return true
    if (unread.startsWith(form.callPrefix)) {
      state = 'name'
      unread = unread.slice(form.callPrefix.length)
    } else if (!form.callPrefix.startsWith(unread) && unread.startsWith(form.textPrefix)) {
      state = 'text'
      unread = unread.slice(form.textPrefix.length)
    }
    return state !== 'choice'
  }

  /** Arguments are an object: the name ends where it begins. */
  function readName(): AnswerEvent[] {
    const end = unread.indexOf('{')
    if (end < 0) return []
    const name = unread.slice(0, end)
    unread = unread.slice(end)
    state = 'arguments'
    return [{ type: 'call', name }]
  }

  function take(): string {
    const text = unread
    unread = ''
    return text
  }

  return {
    push: (text) => {
      unread += text
      const events: AnswerEvent[] = []
      if (!announced && form.kind === 'arguments') events.push({ type: 'call', name: form.name })
      announced = true
      if (state === 'choice' && !chosen()) return { events, ended: false }
      if (state === 'name') events.push(...readName())
      if (state === 'arguments' && unread !== '') events.push({ type: 'arguments', text: take() })
      if (state !== 'text') return { events, ended: false }
      const told = stopText.push(take())
      if (told.text !== '') events.push({ type: 'text', text: told.text })
      return { events, ended: told.ended }
    },
    finish: () => {
      const text = stopText.finish()
      return text === '' ? [] : [{ type: 'text', text }]
    },
  }
}
