import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test, vi } from 'vitest'
import { addCalibrateCommand } from '../../../cli/commands/calibrate.ts'
import { addEvaluateCommand } from '../../../cli/commands/evaluate.ts'
import { addPolicyCommand } from '../../../cli/commands/policy.ts'
import { addScoreCommand } from '../../../cli/commands/score.ts'
import { runCommand } from '../../support/run-command.ts'
import { syntheticLabels } from '../../support/synthetic-labels.ts'

// Scorers are trained here, on a machine that may be slow: a limit for what hangs.
vi.setConfig({ testTimeout: 120_000 })

const dir = mkdtempSync(join(tmpdir(), 'shunt-calibrate-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const shunt = (...args: string[]) =>
  runCommand([addCalibrateCommand, addScoreCommand, addEvaluateCommand, addPolicyCommand], args)
const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
function file(name: string, content: string | Buffer): string {
  const path = join(dir, name)
  writeFileSync(path, content)
  return path
}

const train = file('train.jsonl', lines(syntheticLabels(360, 1)))
const held = syntheticLabels(150, 2)
const heldOut = file('held-out.jsonl.gz', gzipSync(lines(held)))
const out = join(dir, 'scorer')
const first = await shunt('calibrate', train, '--out', out, '--frontier-share', '0.34')

test('the same labels and seed give the same scorer, byte for byte, and another seed another one', async () => {
  const again = join(dir, 'again')
  await shunt('calibrate', train, '--out', again)
  expect(readFileSync(join(again, 'scorer.bin')).equals(readFileSync(join(out, 'scorer.bin')))).toBe(true)
  await shunt('calibrate', train, '--out', again, '--seed', '2')
  expect(readFileSync(join(again, 'scorer.bin')).equals(readFileSync(join(out, 'scorer.bin')))).toBe(false)
})

test('score finds the steps that only the frontier model solves, and not those that both fail', async () => {
  const { code, out: scored } = await shunt('score', heldOut, '--scorer', out)
  const gains = scored
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; pSuccess: number; gain: number })
  expect(code).toBe(0)
  expect(gains.map(({ id }) => id)).toEqual(held.map(({ id }) => id))
  const mean = (group: string, figure: 'gain' | 'pSuccess') => {
    const own = gains.filter((_, i) => held[i]!.group === group)
    return own.reduce((sum, scoredStep) => sum + scoredStep[figure], 0) / own.length
  }
  expect(mean('proof', 'gain')).toBeGreaterThan(0.5)
  expect(mean('riddle', 'gain')).toBeLessThan(0.3)
  expect(mean('lookup', 'gain')).toBeLessThan(0.3)
  expect(mean('lookup', 'pSuccess')).toBeGreaterThan(0.7)
})

test('score reads neither group nor outcome', async () => {
  const bare = file('bare.jsonl', lines(held.map(({ id, kind, request }) => ({ id, kind, request }))))
  const misled = held.map((row) => ({ ...row, group: 'proof', outcome: 'nonsense' }))
  const whole = await shunt('score', heldOut, '--scorer', out)
  expect((await shunt('score', bare, '--scorer', out)).out).toBe(whole.out)
  expect((await shunt('score', file('misled.jsonl', lines(misled)), '--scorer', out)).out).toBe(whole.out)
})

test('bad lines are named by number and the others scored; the exit code tells', async () => {
  const [step] = held
  const path = file('bad.jsonl', `{"id"\n${JSON.stringify(step)}\n{"id":"x","request":{"messages":[]}}\n`)
  const { code, out: scored, err } = await shunt('score', path, '--scorer', out)
  expect(code).toBe(1)
  expect(scored.trim().split('\n')).toHaveLength(1)
  expect(err).toMatch(/bad\.jsonl:1: .*\n.*bad\.jsonl:3: /)
})

test('evaluate puts the scorer beside random, a prior by group, nearest neighbours and the oracle', async () => {
  const { out: told } = await shunt('evaluate', heldOut, '--scorer', out, '--train', train, '--json')
  const { rankings, ranked } = JSON.parse(told) as {
    ranked: number
    rankings: { name: string; figures: { apgr: number } }[]
  }
  expect(ranked).toBe(150)
  expect(rankings.map(({ name }) => name)).toEqual([
    'scorer',
    'scorer, within groups',
    'random',
    'prior by group',
    'kNN over n-grams',
    'oracle',
  ])
  const apgr = Object.fromEntries(rankings.map(({ name, figures }) => [name, figures.apgr]))
  expect(apgr['random']).toBeCloseTo(0.5, 6)
  expect(apgr['scorer']).toBeGreaterThan(0.7)
  expect(apgr['oracle']).toBeGreaterThan(apgr['scorer']!)
})

test('evaluate needs no other labels for a prior by group, and writes a page with plots', async () => {
  const page = join(dir, 'page.html')
  const { out: told } = await shunt('evaluate', heldOut, '--scorer', out, '--html', page)
  expect(told).toMatch(/^prior by group +\d\.\d{3} /m)
  expect(readFileSync(page, 'utf8').match(/<svg /g)).toHaveLength(2)
})

test('calibrate leaves a page that marks the threshold, the same for the same labels and seed', async () => {
  const page = readFileSync(join(out, 'report.html'), 'utf8')
  expect(page).toMatch(/<span>threshold<\/span>[^]*>3[34]\.\d\u00a0% escalate, /)
  expect(page).toContain('each label scored out of fold')
  const again = join(dir, 'same')
  await shunt('calibrate', train, '--out', again, '--frontier-share', '0.34')
  expect(readFileSync(join(again, 'report.html'), 'utf8')).toBe(page)
})

test('the fragment that calibrate prints makes a policy that check accepts', async () => {
  const fragment = first.out.slice(first.out.indexOf('\n\n') + 2)
  expect(fragment).toMatch(/gainPpm: -?\d+/)
  const base = readFileSync(new URL('../../../samples/policy.yaml', import.meta.url), 'utf8')
  const without = base.replace(/^scorer: .*\n/m, '').replace(/^threshold:\n(?: .*\n)*/m, '')
  const policy = file('policy.yaml', `${without}\n${fragment}`)
  expect((await shunt('policy', 'check', policy)).code).toBe(0)
})

test('a promise of accuracy keeps a third of the labels from the scorer, and is refused where they are too few', async () => {
  const promised = join(dir, 'promised')
  const { out: told } = await shunt('calibrate', train, '--out', promised, '--max-accuracy-loss', '0.2', '--json')
  const { source, thresholds } = JSON.parse(told) as { source: string; thresholds: { base: { origin: string } } }
  expect(source).toBe('train.jsonl, 240 for the scorer, 120 kept for the threshold')
  expect(thresholds.base.origin).toMatch(/^loses at most 20\.0 % .* with confidence 0\.95;/)
  await expect(shunt('calibrate', train, '--out', promised, '--max-accuracy-loss', '0.001')).rejects.toMatchObject({
    code: 'SHUNT_LABELS_TOO_FEW',
  })
})

test('steps of a kind with few labels are in no promise: the fragment sends them to the frontier model', async () => {
  const rare = syntheticLabels(24, 3).map((label) => ({ ...label, id: `r${label.id}`, kind: 'summarization' }))
  const mixed = file('mixed.jsonl', lines([...syntheticLabels(360, 1), ...rare]))
  const { out: told } = await shunt(
    'calibrate',
    mixed,
    '--out',
    join(dir, 'mixed'),
    '--max-accuracy-loss',
    '0.2',
    '--json',
  )
  const { fragment, thresholds } = JSON.parse(told) as { fragment: string; thresholds: { base: { steps: number } } }
  expect(fragment).toContain('pSuccessPpm: 1000000')
  // A third of all labels, less the rare ones among them.
  expect(thresholds.base.steps).toBeLessThan(128)
})

test('labels that tell the confidence of open answers give a threshold on it, which the policy takes', async () => {
  const sure = syntheticLabels(900, 4).map((label, i) => ({
    ...label,
    ossConfidencePpm: label.outcome.frontier && !label.outcome.oss ? 400_000 + (i % 11) : 900_000 + (i % 7),
  }))
  const path = file('sure.jsonl', lines(sure))
  const { out: told } = await shunt('calibrate', path, '--out', join(dir, 'sure'), '--frontier-share', '0.1', '--json')
  const { fragment } = JSON.parse(told) as { fragment: string }
  expect(fragment).toMatch(/verification:\n\s+# .* answers left to the open model .*\n\s+minConfidencePpm: 900000\n/)
  const bare = await shunt('calibrate', file('few.jsonl', lines(sure.slice(0, 120))), '--out', join(dir, 'few'))
  expect(bare.out).toContain('no threshold on confidence')
  expect(first.out).not.toContain('confidence:')
})
