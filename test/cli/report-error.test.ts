import { Writable } from 'node:stream'
import { CommanderError } from 'commander'
import { expect, test } from 'vitest'
import { ShuntError } from '#lib/errors'
import { reportError } from '../../cli/report-error.ts'

function report(error: unknown, env: Record<string, string> = {}, signal = new AbortController().signal) {
  let text = ''
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  return { code: reportError({ env, stderr, signal }, error), text }
}

test('one line with the code and the message, whatever the message holds', () => {
  const error = new ShuntError('SHUNT_TOPICS_NOT_APPLIED', 'no topic x:\n  run `shunt topics apply`\u001b[2J')
  expect(report(error)).toEqual({
    code: 1,
    text: 'shunt: SHUNT_TOPICS_NOT_APPLIED: no topic x: run `shunt topics apply`?[2J\n',
  })
})

test('a stack only where SHUNT_DEBUG asks for it', () => {
  expect(report(new Error('boom')).text).not.toContain(' at ')
  expect(report(new Error('boom'), { SHUNT_DEBUG: '1' }).text).toContain(' at ')
})

test('an interrupt says nothing and is 130; wrong usage is 2', () => {
  const signal = AbortSignal.abort()
  expect(report(signal.reason, {}, signal)).toEqual({ code: 130, text: '' })
  expect(report(new CommanderError(1, 'commander.unknownOption', 'x')).code).toBe(2)
  expect(report(new CommanderError(0, 'commander.help', 'x')).code).toBe(0)
})
