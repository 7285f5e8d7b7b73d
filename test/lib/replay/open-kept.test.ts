import { expect, test } from 'vitest'
import { sealPublished } from '#lib/erasure/step-texts'
import { openKept } from '#lib/replay/open-kept'
import { makeStep, policy } from '../../services/classifier/rig.ts'
import { memoryKeys } from '../../support/memory-keys.ts'

const step = makeStep()
const open = (keys: Parameters<typeof openKept>[0], of = step) => openKept(keys)(of, policy.policy)

test('a sealed request opens to what the plain one is; without its key it counts as erased', async () => {
  const keys = await memoryKeys(step.tenantId)
  const sealed = await sealPublished(keys, step)
  const plain = { text: step.request, request: JSON.parse(step.request) as unknown }
  expect(await open(null)).toMatchObject(plain)
  expect(await open(keys, sealed)).toMatchObject(plain)
  expect(await open(null, sealed)).toBeNull()
  keys.erase(step.tenantId)
  expect(await open(keys, sealed)).toBeNull()
})

test('one that was changed is no erased one', async () => {
  const keys = await memoryKeys(step.tenantId)
  const { request, ...rest } = await sealPublished(keys, step)
  const changed = `${request.slice(0, -2)}AA`
  await expect(open(keys, { ...rest, request: changed })).rejects.toMatchObject({ code: 'SHUNT_TEXT_UNREADABLE' })
})
