import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAnswerReader, type AnswerEvent } from '../../../services/inference/answer-reader.ts'
import type { AnswerForm } from '../../../services/inference/prompt-format.ts'

function read(form: AnswerForm, pieces: readonly string[], stop: readonly string[] = []): AnswerEvent[] {
  const reader = createAnswerReader(form, stop)
  const events: AnswerEvent[] = []
  for (const piece of pieces) {
    const step = reader.push(piece)
    events.push(...step.events)
    if (step.ended) return events
  }
  return [...events, ...reader.finish()]
}

/** One event of each kind in a row, as if it had come in one piece. */
function joined(events: readonly AnswerEvent[]): AnswerEvent[] {
  return events.reduce<AnswerEvent[]>((all, event) => {
    const last = all.at(-1)
    if (last?.type === 'text' && event.type === 'text') last.text += event.text
    else if (last?.type === 'arguments' && event.type === 'arguments') last.text += event.text
    else all.push({ ...event })
    return all
  }, [])
}

const choice: AnswerForm = { kind: 'choice', callPrefix: ' Call\n', textPrefix: ' Output\n' }
const templateChoice: AnswerForm = { kind: 'choice', callPrefix: '### Call\n', textPrefix: '' }
const call: AnswerEvent[] = [
  { type: 'call', name: 'get_claim' },
  { type: 'arguments', text: '{"id": "C-1"}' },
]

describe('createAnswerReader', () => {
  test('reads text until a stop text', () => {
    expect(joined(read({ kind: 'text' }, [' theft', '\n', '### Input'], ['\n']))).toEqual([
      { type: 'text', text: 'theft' },
    ])
  })

  test('reads a call with its name', () => {
    expect(joined(read({ kind: 'call' }, ['get', '_claim{"', 'id": "C-1"}']))).toEqual(call)
  })

  test('tells the name of the one tool at the first token', () => {
    expect(read({ kind: 'arguments', name: 'get_claim' }, ['{', '"id": "C-1"}'])).toEqual([
      { type: 'call', name: 'get_claim' },
      { type: 'arguments', text: '{' },
      { type: 'arguments', text: '"id": "C-1"}' },
    ])
  })

  test.each([choice, templateChoice])('follows the model into a call: %j', (form) => {
    const text = form.kind === 'choice' ? `${form.callPrefix}get_claim{"id": "C-1"}` : ''
    expect(joined(read(form, text.split('')))).toEqual(call)
  })

  test.each([choice, templateChoice])('follows the model into text: %j', (form) => {
    const text = form.kind === 'choice' ? `${form.textPrefix}The claim is paid.` : ''
    expect(joined(read(form, text.split('')))).toEqual([{ type: 'text', text: 'The claim is paid.' }])
  })

  test('stop texts do not cut a call', () => {
    expect(joined(read({ kind: 'call' }, ['get_claim{"id": "C-1"}'], ['C-1']))).toEqual(call)
  })

  test('how the tokens are cut changes nothing', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 40, maxLength: 40 })
    fc.assert(
      fc.property(cuts, fc.constantFrom(' Call\nget_claim{"id": "C-1"}', ' Output\nPaid.\n\n'), (lengths, text) => {
        let at = 0
        const pieces = lengths.map((length) => text.slice(at, (at += length)))
        expect(joined(read(choice, pieces, ['\n\n']))).toEqual(joined(read(choice, [text], ['\n\n'])))
      }),
    )
  })
})
