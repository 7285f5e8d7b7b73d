import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { avroType } from '#lib/events/avro-type'
import { parseFeedback, parseStep, stepFromJson, stepIdsOf } from '#lib/events/parse-step'
import { maxStepBytes } from '#lib/events/topics'
import { ShuntError } from '#lib/errors'
import { localCodec } from '../../support/local-codec.ts'
import { anyStep } from './arbitrary.ts'

const codec = await localCodec()
const fixture = (path: string): Buffer => readFileSync(new URL(`../../../schemas/fixtures/${path}`, import.meta.url))
const record = (value: Buffer | string | null, contentType?: string) => ({
  value: typeof value === 'string' ? Buffer.from(value) : value,
  headers: contentType === undefined ? {} : { 'content-type': contentType },
})
const minimal = {
  stepId: 's1',
  taskId: 't1',
  tenantId: 'acme',
  request: { messages: [{ role: 'user', content: 'hi' }] },
}
const failureOf = (value: object): Promise<unknown> =>
  parseStep(record(JSON.stringify(value)), codec).catch((error: unknown) => error)
const ids = { stepId: 's1', taskId: 't1', tenantId: 'acme' }

describe('a step as JSON', () => {
  const full = avroType('step').fromString(fixture('step/v1.json').toString()) as object

  test.each(['step-request-as-text', 'step-request-as-object'])('%s is the step that Avro carries', async (name) => {
    const step = await parseStep(record(fixture(`plain-json/${name}.json`)), codec)
    expect(step).toEqual({ ...full })
    expect(step).toEqual({ ...(await parseStep(record(codec.encode('step', step)), codec)) })
  })

  test("what is absent gets the schema's default", async () => {
    expect(await parseStep(record(fixture('plain-json/step-minimal.json')), codec)).toEqual({
      stepId: 's1',
      taskId: 't1',
      tenantId: 'acme-health',
      sequence: null,
      kind: 'unknown',
      request: '{"messages":[{"role":"user","content":"hi"}]}',
      constraints: { allowedRegions: null, requiredTags: [], frontierAllowed: true, critical: [] },
      taskBudgetMicroUsd: null,
      deadlineAtMs: null,
      priority: 'interactive',
      batchId: null,
      metadata: {},
    })
  })

  test('defaults of one step are not those of the next', () => {
    stepFromJson(minimal).constraints.requiredTags.push('baa')
    expect(stepFromJson(minimal).constraints.requiredTags).toEqual([])
  })

  test('is recognised by its first byte or its content-type, Avro by neither', async () => {
    const text = JSON.stringify(minimal)
    await expect(parseStep(record(text), codec)).resolves.toMatchObject(ids)
    await expect(parseStep(record(` ${text}`, 'Application/JSON; charset=utf-8'), codec)).resolves.toMatchObject(ids)
    await expect(parseStep(record(` ${text}`, 'application/jsonp'), codec)).rejects.toMatchObject({
      code: 'SHUNT_EVENT_UNDECODABLE',
    })
    await expect(parseStep(record(codec.encode('step', stepFromJson(minimal))), codec)).resolves.toMatchObject(ids)
  })

  test.each([
    ['a field that is not known', { tenant: 'acme' }, 'tenant is no field; known are stepId, taskId, tenantId'],
    ['a misspelt constraint', { constraints: { requireTags: ['baa'] } }, 'constraints.requireTags is no field'],
    ['a constraint outside constraints', { requiredTags: ['baa'] }, 'requiredTags is no field'],
    [
      'null where there is a default',
      { constraints: { requiredTags: null } },
      'constraints.requiredTags must be an array',
    ],
    ['a string for a list', { constraints: { allowedRegions: 'eu' } }, 'constraints.allowedRegions must be an array'],
    [
      'a number in a list',
      { constraints: { allowedRegions: ['eu', 5] } },
      'constraints.allowedRegions[1] must be a string',
    ],
    [
      'a boolean in quotes',
      { constraints: { frontierAllowed: 'false' } },
      'constraints.frontierAllowed must be true or false',
    ],
    ['a number in quotes', { deadlineAtMs: '5' }, 'deadlineAtMs must be a whole number'],
    ['a fraction', { sequence: 0.5 }, 'sequence must be a whole number'],
    ['an int that is too large', { sequence: 2 ** 31 }, 'sequence must be a whole number up to 2147483647'],
    ['a long that is too large', { taskBudgetMicroUsd: 2 ** 53 }, 'taskBudgetMicroUsd must be a whole number'],
    ['another kind', { kind: 'tool-call' }, 'kind must be one of unknown, classification'],
    ['another priority', { priority: 'high' }, 'priority must be one of interactive, batch'],
    ['a request that is a list', { request: [] }, 'request must be an object or its JSON text'],
    ['a request that is null', { request: null }, 'request must be an object or its JSON text'],
    ['a label that is a number', { metadata: { run: 5 } }, 'metadata.run must be a string'],
    ['labels as a list', { metadata: ['run'] }, 'metadata must be an object'],
    ['a prototype', JSON.parse('{"__proto__":{"frontierAllowed":true}}') as object, '__proto__ is no field'],
  ])('%s is an error that names it, and says whose step it is', async (_what, fields, message) => {
    const error = await failureOf({ ...minimal, ...fields })
    expect(error).toMatchObject({ name: 'StepParseError', code: 'SHUNT_EVENT_INVALID', retryable: false, ids })
    expect((error as Error).message).toContain(message)
  })

  test('a missing field is an error; ids are told as far as they are sound', async () => {
    expect(await failureOf({ ...minimal, taskId: undefined })).toMatchObject({
      message: 'taskId is missing',
      ids: { stepId: 's1', tenantId: 'acme' },
    })
    expect(stepIdsOf(await failureOf({ ...minimal, tenantId: 5 }))).toBeUndefined()
    expect(stepIdsOf(await failureOf({ ...minimal, stepId: 'bell\u0007', sequence: 'x' }))).toBeUndefined()
    expect(stepIdsOf(await failureOf({ request: {} }))).toBeUndefined()
  })

  test('text that is not JSON is told by its place, and nothing of it is quoted', async () => {
    const error: unknown = await parseStep(record('{"stepId": my secret prompt}'), codec).catch(
      (error: unknown) => error,
    )
    expect(error).toMatchObject({ code: 'SHUNT_EVENT_INVALID', message: expect.stringContaining('not JSON') })
    expect(String(error)).not.toContain('secret')
  })

  test('nesting that would overflow a stack is refused', async () => {
    const deep = `{"stepId":"s1","request":${'['.repeat(300_000)}${']'.repeat(300_000)}}`
    await expect(parseStep(record(deep), codec)).rejects.toMatchObject({
      code: 'SHUNT_EVENT_INVALID',
      message: expect.stringContaining('nested'),
    })
  })

  test('brackets and escaped quotes within strings are no nesting', async () => {
    const request = { messages: [{ role: 'user', content: `${'[{'.repeat(200)}\\"\\\\"` }] }
    await expect(parseStep(record(JSON.stringify({ ...minimal, request })), codec)).resolves.toMatchObject(ids)
  })
})

describe('a value over 1 MiB', () => {
  const big = stepFromJson({ ...minimal, request: { messages: [{ role: 'user', content: 'x'.repeat(maxStepBytes) }] } })

  test('is too large, and says whose it is, in Avro and JSON', async () => {
    for (const value of [codec.encode('step', big), JSON.stringify(big)])
      await expect(parseStep(record(value), codec)).rejects.toMatchObject({
        code: 'SHUNT_EVENT_TOO_LARGE',
        message: expect.stringContaining('the limit is 1048576'),
        ids,
      })
  })

  test('is too large whatever it is', async () => {
    for (const value of [Buffer.alloc(2 * maxStepBytes), Buffer.alloc(40 * maxStepBytes, '{')])
      await expect(parseStep(record(value), codec)).rejects.toMatchObject({
        code: 'SHUNT_EVENT_TOO_LARGE',
        ids: undefined,
      })
  })

  test('waits for a registry that is away, since its result would be lost', async () => {
    const away = new ShuntError('SHUNT_REGISTRY_UNAVAILABLE', 'away', { retryable: true })
    const decode = (): Promise<never> => Promise.reject(away)
    await expect(parseStep(record(codec.encode('step', big)), { decode })).rejects.toBe(away)
  })

  test('of exactly 1 MiB is read', async () => {
    const empty = JSON.stringify({ ...minimal, request: '' })
    const step = { ...minimal, request: 'x'.repeat(maxStepBytes - empty.length) }
    await expect(parseStep(record(JSON.stringify(step)), codec)).resolves.toMatchObject(ids)
  })
})

/** True where it is a step or a ShuntError. */
async function isTaken(value: Buffer | null, contentType?: string): Promise<boolean> {
  try {
    await parseStep(record(value, contentType), codec)
    return true
  } catch (error) {
    return error instanceof ShuntError
  }
}

function anyField() {
  const any = fc.oneof(fc.jsonValue(), fc.string())
  return { stepId: any, taskId: any, tenantId: any, constraints: any, metadata: any, kind: any, deadlineAtMs: any }
}

describe('whatever arrives', () => {
  test('bytes, JSON or not, Avro or not, never lead to anything but a step or a ShuntError', async () => {
    const bytes = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
    const framed = bytes.map((tail) => Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), tail]))
    const json = fc.json().map((text) => Buffer.from(text))
    const half = fc
      .record({ ...anyField(), request: fc.jsonValue() }, { requiredKeys: [] })
      .map((value) => Buffer.from(JSON.stringify(value)))
    const header = fc.option(fc.constantFrom('application/json', 'text/plain'), { nil: undefined })
    const property = fc.asyncProperty(fc.oneof(bytes, framed, json, half, fc.constant(null)), header, isTaken)
    await expect(fc.assert(property, { numRuns: 2_000 })).resolves.toBeUndefined()
  })

  test('any step in JSON is the step, as long as its text survives UTF-8', async () => {
    const property = fc.asyncProperty(anyStep, async (step) => {
      expect(await parseStep(record(JSON.stringify(step)), codec)).toEqual(step)
    })
    await expect(fc.assert(property)).resolves.toBeUndefined()
  })
})

describe('feedback', () => {
  test('arrives as JSON or Avro', async () => {
    const feedback = await parseFeedback(record(fixture('plain-json/feedback.json')), codec)
    expect(feedback).toEqual({
      ...(avroType('step-feedback').fromString(fixture('step-feedback/v1.json').toString()) as object),
    })
    expect({ ...(await parseFeedback(record(codec.encode('step-feedback', feedback)), codec)) }).toEqual(feedback)
  })

  test('with a field that is not known is refused', async () => {
    const text = JSON.stringify({ ...ids, verdict: 'right', atMs: 5, note: 'x' })
    await expect(parseFeedback(record(text), codec)).rejects.toMatchObject({ code: 'SHUNT_EVENT_INVALID', ids })
  })
})
