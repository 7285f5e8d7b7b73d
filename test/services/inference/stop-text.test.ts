import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createStopText } from '../../../services/inference/stop-text.ts'

function run(pieces: readonly string[], stop: readonly string[]): { told: string[]; ended: boolean } {
  const stopText = createStopText(stop)
  const told: string[] = []
  for (const piece of pieces) {
    const { text, ended } = stopText.push(piece)
    told.push(text)
    if (ended) return { told, ended }
  }
  told.push(stopText.finish())
  return { told, ended: false }
}

test('holds back what may begin a stop text, and tells it when it does not', () => {
  expect(run(['a\n#', '#x', 'y'], ['\n###']).told).toEqual(['a', '\n##x', 'y', ''])
})

test('cuts at the first of several stop texts', () => {
  expect(run(['one\n\ntwo END'], ['END', '\n\n'])).toEqual({ told: ['one'], ended: true })
})

test('a stop text that is spread over pieces is never told', () => {
  const { told, ended } = run(['theft', '\n', '#', '#', '#', ' Input'], ['\n###'])
  expect({ told: told.join(''), ended }).toEqual({ told: 'theft', ended: true })
})

test('takes blank space off both ends and keeps it within', () => {
  expect(run([' ', '\n a', ' ', 'b', ' ', '\n'], []).told.join('')).toBe('a b')
})

test('line breaks before the first word do not stop a one-line answer', () => {
  expect(run(['\n', '\ntheft', '\n'], ['\n']).told.join('')).toBe('theft')
})

test('how the text is cut into pieces changes nothing', () => {
  const piece = fc.constantFrom('a', 'b', '\n', '#', ' ', 'ab#', '\n#')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const stop = ['\n##', 'bb']
      const whole = run([pieces.join('')], stop)
      const parts = run(pieces, stop)
      expect([parts.told.join(''), parts.ended]).toEqual([whole.told.join(''), whole.ended])
    }),
  )
})
