import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const dir = new URL('../../../lib/ledger/lua/', import.meta.url)

test.each(readdirSync(dir))('the header of %s names every key and argument that the script reads', (file) => {
  const text = readFileSync(new URL(file, dir), 'utf8')
  const end = text.indexOf(']]')
  const [header, body] = [text.slice(0, end), text.slice(end)]
  expect(header.startsWith(`--[[ ${file}: `)).toBe(true)
  expect(header).toContain('Output: ')
  const used = new Set(body.match(/\b(KEYS|ARGV)\[\d+\]/g))
  for (const name of used) expect(header, `${name} is read and not named`).toContain(name)
  for (const name of header.match(/\b(KEYS|ARGV)\[\d+\]/g) ?? [])
    expect(used.has(name), `${name} is named and not read`).toBe(true)
})
