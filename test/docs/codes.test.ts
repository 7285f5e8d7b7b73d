import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { errorCodes } from '#lib/errors'
import { verdicts } from '#lib/models/verdicts'
import { reasons } from '#lib/routing/reasons'

const page = readFileSync(new URL('../../docs/codes.md', import.meta.url), 'utf8')

/** Cells of a section's table rows, by the code in the first. */
function section(title: string): Map<string, string[]> {
  const text = page.split(/^## /m).find((each) => each.startsWith(`${title}\n`)) ?? ''
  const rows = text.split('\n').filter((line) => line.startsWith('| `'))
  return new Map(
    rows.map((row) => {
      const [code, ...cells] = row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
      return [code!.replaceAll('`', ''), cells]
    }),
  )
}

test('docs/codes.md lists every error code and nothing else, each with its remedy', () => {
  const documented = section('Errors')
  expect([...documented.keys()].toSorted()).toEqual([...errorCodes].toSorted())
  for (const [code, cells] of documented)
    expect(
      cells.every((cell) => cell !== ''),
      code,
    ).toBe(true)
})

test('docs/codes.md gives every verdict the meaning that the code gives it', () => {
  const meant = Object.entries(verdicts).map(([name, { meaning, transient }]) => [
    name,
    [transient ? 'yes' : 'no', meaning],
  ])
  expect(Object.fromEntries(section('Verdicts'))).toEqual(Object.fromEntries(meant))
})

test('docs/codes.md gives every reason the meaning that the code gives it', () => {
  const meant = Object.entries(reasons).map(([name, meaning]) => [name, [meaning]])
  expect(Object.fromEntries(section('Reasons'))).toEqual(Object.fromEntries(meant))
})
