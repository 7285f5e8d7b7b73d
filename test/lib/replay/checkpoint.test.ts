import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { newVerification, readCheckpoint, writeCheckpoint } from '#lib/replay/checkpoint'

const dir = mkdtempSync(join(tmpdir(), 'shunt-checkpoint-'))
const file = join(dir, 'night.json')
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const started = newVerification('what is asked', 1_800_000_000_000, true)
const verification = { ...started, positions: new Map([[3, 77]]), counts: { ...started.counts, decisions: 9, same: 9 } }

test('comes back as it was written, and leaves no other file', async () => {
  expect(await readCheckpoint(file, 'what is asked')).toBeUndefined()
  await writeCheckpoint(file, verification)
  expect(await readCheckpoint(file, 'what is asked')).toMatchObject(verification)
  expect(readdirSync(dir)).toEqual(['night.json'])
})

test('of another question is refused, and so is what is none, each with what to do', async () => {
  await writeCheckpoint(file, verification)
  await expect(readCheckpoint(file, 'something else')).rejects.toMatchObject({
    code: 'SHUNT_CHECKPOINT_INVALID',
    message: expect.stringMatching(/another verification: what is asked; name another file, or remove it/),
  })
  const whole = readFileSync(file, 'utf8')
  const { counts: _counts, ...lacking } = JSON.parse(whole) as Record<string, unknown>
  for (const text of [
    '',
    'null',
    '[]',
    whole.slice(0, 80),
    JSON.stringify(lacking),
    whole.replace('"version":1', '"version":2'),
  ]) {
    writeFileSync(file, text)
    await expect(readCheckpoint(file, 'what is asked')).rejects.toMatchObject({
      code: 'SHUNT_CHECKPOINT_INVALID',
      message: expect.stringMatching(/no checkpoint of this release/),
    })
  }
})
