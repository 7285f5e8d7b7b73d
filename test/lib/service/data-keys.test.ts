import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readServiceConfig } from '#lib/config'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import { openServiceKeys } from '#lib/service/data-keys'
import { policyText, policy as sample } from '../../services/classifier/rig.ts'

const sealed = parsePolicy(
  policyText.replace('    # texts: sealed', '    texts: sealed'),
  'policy',
  readScorerFile().hash,
)

function service(env: Record<string, string>, inForce?: typeof sample) {
  const checks: (() => string | null)[] = []
  const policies = { inForce: () => inForce } as Parameters<typeof openServiceKeys>[0]['policies']
  return { checks, keys: openServiceKeys({ config: readServiceConfig(env), policies, checks }) }
}

test('a policy of sealed texts and no data keys: the service is not ready, and says what to set', async () => {
  const { keys, checks } = service({}, { hash: sealed.hash, policy: sealed.policy, trained: null })
  expect(await keys).toBeNull()
  expect(checks.map((check) => check())).toEqual([
    expect.stringMatching(/^SHUNT_DATA_KEYS_UNAVAILABLE: .*tenant clinic .*SHUNT_DATA_KEYS/),
  ])
})

test.each([
  ['no policy', undefined],
  ['a policy that seals nothing', sample],
])('no data keys and %s: nothing is missing', async (_what, inForce) => {
  const { keys, checks } = service({ SHUNT_DATA_KEYS: '' }, inForce)
  expect(await keys).toBeNull()
  expect(checks.map((check) => check())).toEqual([null])
})

test('a directory that is not there ends the start; one without keys yet does not', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'shunt-keys-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  await expect(service({ SHUNT_DATA_KEYS: join(dir, 'none') }).keys).rejects.toMatchObject({
    code: 'SHUNT_CONFIG_INVALID',
    message: expect.stringContaining('SHUNT_DATA_KEYS=') as string,
  })
  expect(await service({ SHUNT_DATA_KEYS: dir }).keys).not.toBeNull()
})
