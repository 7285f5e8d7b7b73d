import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { dataKeyOf, type DataKey, type DataKeys } from '#lib/erasure/data-keys'
import { unavailable } from '#lib/erasure/key-files'
import { isSealed } from '#lib/erasure/sealed-text'
import { openRequest, openStep, openText, sealLike, sealPublished, sealText } from '#lib/erasure/step-texts'
import { StepParseError } from '#lib/events/step-error'
import { makeStep, policy } from '../../services/classifier/rig.ts'
import { memoryKeys } from '../../support/memory-keys.ts'

const { request: rules, tenants } = policy.policy
const any = { request: rules, tenants }
const sealedOnly = { request: rules, tenants: tenants.map((tenant) => ({ ...tenant, texts: 'sealed' as const })) }
const step = makeStep()
const mine = { tenantId: step.tenantId, stepId: step.stepId, field: 'request' } as const

test('a published step is sealed where its tenant has a key, once, and opens to what it was', async () => {
  const keys = await memoryKeys(step.tenantId)
  const sealed = await sealPublished(keys, step)
  expect(isSealed(sealed.request)).toBe(true)
  expect({ ...sealed, request: step.request }).toEqual(step)
  expect(await sealPublished(keys, sealed)).toBe(sealed)
  expect(await openText(keys, mine, sealed.request)).toBe(step.request)
  const { request, text } = await openRequest(keys, sealed, any)
  expect({ text, request }).toEqual({ text: step.request, request: JSON.parse(step.request) as unknown })
})

test('a tenant without a key, and a site without keys, publish plain', async () => {
  expect(await sealPublished(await memoryKeys('globex'), step)).toBe(step)
  expect(await sealPublished(null, step)).toBe(step)
  expect(await openText(null, mine, step.request)).toBe(step.request)
})

test('a plain request asks no key', async () => {
  const none: DataKeys = { newest: () => expect.unreachable(), byId: () => expect.unreachable() }
  expect((await openStep(none, step, any)).text).toBe(step.request)
  expect(await sealLike(none, step, 'answer', '{}')).toBe('{}')
})

test('an answer gets the form of its step’s request', async () => {
  const keys = await memoryKeys(step.tenantId)
  const sealed = await sealPublished(keys, step)
  const answer = await sealLike(keys, sealed, 'answer', '{"choices":[]}')
  expect(await openText(keys, { ...mine, field: 'answer' }, answer)).toBe('{"choices":[]}')
  await expect(openText(keys, mine, answer)).rejects.toMatchObject({ code: 'SHUNT_TEXT_UNREADABLE' })
})

test('once the key is deleted nothing opens and nothing is sealed: the text is erased', async () => {
  const keys = await memoryKeys(step.tenantId)
  const sealed = await sealPublished(keys, step)
  keys.erase(step.tenantId)
  const erased = { code: 'SHUNT_TEXT_ERASED', retryable: false }
  await expect(openText(keys, mine, sealed.request)).rejects.toMatchObject(erased)
  await expect(sealText(keys, mine, 'x')).rejects.toMatchObject(erased)
  const refused = openStep(keys, sealed, any)
  await expect(refused).rejects.toBeInstanceOf(StepParseError)
  await expect(refused).rejects.toMatchObject({
    ...erased,
    ids: { tenantId: step.tenantId, stepId: step.stepId, taskId: step.taskId },
  })
})

test('a tenant of sealed texts is refused a plain request', async () => {
  const keys = await memoryKeys(step.tenantId)
  await expect(openStep(keys, step, sealedOnly)).rejects.toMatchObject({ code: 'SHUNT_TEXT_NOT_SEALED' })
  expect((await openStep(keys, await sealPublished(keys, step), sealedOnly)).text).toBe(step.request)
})

test('without keys a sealed step waits where the policy promised them, and is refused where nobody did', async () => {
  const sealed = await sealPublished(await memoryKeys(step.tenantId), step)
  const waits = { code: 'SHUNT_DATA_KEYS_UNAVAILABLE', retryable: true }
  await expect(openStep(null, sealed, sealedOnly)).rejects.toMatchObject(waits)
  await expect(openStep(null, sealed, any)).rejects.toMatchObject({ code: 'SHUNT_TEXT_UNREADABLE', retryable: false })
  // It was accepted before: whoever accepted it has the keys.
  await expect(openRequest(null, sealed, any)).rejects.toMatchObject(waits)
  const gone: DataKeys = {
    newest: () => Promise.reject<DataKey>(unavailable('no volume')),
    byId: () => Promise.reject<DataKey>(unavailable('no volume')),
  }
  await expect(openStep(gone, sealed, any)).rejects.toMatchObject(waits)
})

test('who is not known gets nothing opened, and what was sealed is held against the allow-list as anything', async () => {
  const key = await dataKeyOf('k', randomBytes(32))
  let asked = 0
  const keys: DataKeys = { newest: () => Promise.resolve(key), byId: () => Promise.resolve(((asked += 1), key)) }
  const stranger = await sealPublished(keys, { ...step, tenantId: 'nobody' })
  await expect(openStep(keys, stranger, any)).rejects.toMatchObject({ code: 'SHUNT_TENANT_UNKNOWN' })
  expect(asked).toBe(0)
  const streaming = await sealPublished(keys, { ...step, request: '{"messages":[],"stream":true}' })
  await expect(openStep(keys, streaming, any)).rejects.toMatchObject({ code: 'SHUNT_EVENT_INVALID' })
})
