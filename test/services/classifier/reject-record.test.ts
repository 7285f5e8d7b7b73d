import { expect, test } from 'vitest'
import { ShuntError } from '#lib/errors'
import type { StepResult } from '#lib/events/types.generated'
import { StepParseError } from '#lib/events/step-error'
import { createReject } from '../../../services/classifier/reject-record.ts'
import { codec, makeStep, memoryClaims, nowMs, read, recordOf, stepRecord } from './rig.ts'

function rejecter() {
  const claims = memoryClaims()
  const rejected: StepResult[] = []
  const stepLog = { rejected: (result: StepResult) => void rejected.push(result) }
  const resultsTopic = () => 'agent.results'
  const deps = { codec, claims, namespace: '', resultsTopic, stepLog, nowMs: () => nowMs }
  return { claims, rejected, reject: createReject(deps) }
}

test('I7: bytes that nobody can read become a dead letter with its bytes, and end no step', async () => {
  const { reject } = rejecter()
  const value = Buffer.from([9, 8, 7])
  const handled = await reject(recordOf(value), new ShuntError('SHUNT_EVENT_UNDECODABLE', 'no step'))
  expect(handled.audit ?? []).toEqual([])
  expect(handled.records).toMatchObject([{ topic: 'agent.deadletter', value }])
  expect(handled.records[0]!.headers).toMatchObject({
    'x-shunt-code': 'SHUNT_EVENT_UNDECODABLE',
    'x-shunt-offset': '41',
  })
})

test('I1: an invalid step that can be named is rejected in the same transaction, naming its source offset', async () => {
  const { reject, rejected } = rejecter()
  const handled = await reject(stepRecord(makeStep()), new ShuntError('SHUNT_TENANT_UNKNOWN', 'no such tenant'))
  const { topics, results, audit } = await read(handled)
  expect(topics).toEqual(['agent.deadletter', 'agent.results'])
  expect(audit).toEqual(['outcome'])
  expect(results).toMatchObject([
    {
      status: 'rejected',
      code: 'SHUNT_TENANT_UNKNOWN',
      message: 'no such tenant',
      origin: { offset: 41, partition: 2 },
    },
  ])
  expect(rejected).toMatchObject([{ stepId: 's-1', taskId: 't-1', code: 'SHUNT_TENANT_UNKNOWN' }])
})

test('I1: a step that this very record has claimed ends as failed: a claimed step must end', async () => {
  const { reject, claims } = rejecter()
  const claim = { tenantId: 'acme-claims', stepId: 's-1', contentHash: 'aa' }
  await claims.claim({ ...claim, origin: 'agent.steps/2/41' }, 1_000)
  const poison = new ShuntError('SHUNT_POISON', 'it killed its process three times')
  expect((await read(await reject(stepRecord(makeStep()), poison))).results).toMatchObject([{ status: 'failed' }])
  const other = stepRecord(makeStep(), { offset: 42 })
  expect((await read(await reject(other, poison))).results).toMatchObject([{ status: 'rejected' }])
})

test('a step whose value is unreadable is named by the ids of its error; without a task it stands for its own', async () => {
  const { reject } = rejecter()
  const error = new StepParseError('SHUNT_EVENT_INVALID', 'kind is wrong', { tenantId: 'acme-claims', stepId: 's-9' })
  const handled = await reject(recordOf(Buffer.from('{"kind":')), error)
  expect((await read(handled)).results).toMatchObject([{ stepId: 's-9', taskId: 's-9', status: 'rejected' }])
})

test('the message of an unexpected error, which may quote a prompt, is told to nobody', async () => {
  const { reject } = rejecter()
  const handled = await reject(stepRecord(makeStep()), new TypeError('cannot read "the patient Smith"'))
  expect(JSON.stringify(handled.records.map(({ headers }) => headers))).not.toContain('Smith')
  const { results } = await read(handled)
  expect(results[0]).toMatchObject({ code: 'TypeError' })
  expect(results[0]!.message).not.toContain('Smith')
})
