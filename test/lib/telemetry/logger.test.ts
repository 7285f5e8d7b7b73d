import { expect, test } from 'vitest'
import { describeError } from '#lib/telemetry/logger'

test('the text that would not parse is not logged with a SyntaxError, nor with its call sites', () => {
  let thrown: unknown
  try {
    JSON.parse('the patient is called Smith')
  } catch (error) {
    thrown = new Error('bad arguments', { cause: error })
  }
  const logged = JSON.stringify(describeError(thrown))
  expect(logged).toContain('bad arguments')
  expect(logged).not.toContain('patient')
})

test('fields that a client library hangs on its errors are left out', () => {
  const error = Object.assign(new Error('400'), { code: 'ECONNRESET', request: { body: 'secret prompt' } })
  const described = describeError(error)
  expect(described).toMatchObject({ name: 'Error', message: '400', code: 'ECONNRESET' })
  expect(JSON.stringify(described)).not.toContain('secret')
})

test('what is no Error is named by its type alone', () => {
  expect(describeError('some text')).toEqual({ name: 'string', message: expect.not.stringContaining('some text') })
})
