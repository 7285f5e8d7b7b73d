import { randomBytes, randomInt } from 'node:crypto'
import type { Message } from 'kafkajs'
import { completeStep } from '#lib/client/step-input'
import type { Codec } from '#lib/events/codec'
import { makeStep, tenantId } from './pipeline-steps.ts'

const MIB = 1024 * 1024

/** A record that must end as a dead letter, with the result that its step gets where it can be named. */
export interface Bad {
  name: string
  message: Message
  code: string
  /** Null where nobody can tell whose step it is. */
  stepId: string | null
}

const json = (stepId: string, more: object = {}) => Buffer.from(JSON.stringify({ ...makeStep(stepId), ...more }))

/** A JSON step of about this size, which gzip makes small enough for the topic. */
const large = (stepId: string, bytes: number) =>
  json(stepId, { request: { messages: [{ role: 'user', content: 'all work and no play '.repeat(bytes / 21) }] } })

/** One of each kind. */
export function badRecords(codec: Pick<Codec, 'encode'>): Bad[] {
  const encoded = codec.encode('step', completeStep(makeStep('truncated')))
  const unknownSchema = Buffer.from(encoded)
  // Not twice the same: a service remembers that an id has no schema.
  unknownSchema.writeUInt32BE(randomInt(0x40000000, 0x7fffffff), 1)
  return [
    {
      name: 'garbage bytes',
      message: { key: 'g', value: Buffer.concat([Buffer.from([0xff]), randomBytes(300)]) },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    {
      name: 'garbage bytes without a key',
      message: { value: Buffer.concat([Buffer.from([0]), randomBytes(4), randomBytes(300)]) },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    {
      name: 'a schema id that does not exist',
      message: { key: 'u', value: unknownSchema },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    {
      name: 'Avro that is cut off',
      message: { key: 'c', value: encoded.subarray(0, 20) },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    { name: 'no value', message: { key: 'n', value: null }, code: 'SHUNT_EVENT_UNDECODABLE', stepId: null },
    {
      name: 'an empty value',
      message: { key: 'e', value: Buffer.alloc(0) },
      code: 'SHUNT_EVENT_UNDECODABLE',
      stepId: null,
    },
    {
      name: 'JSON that ends too early',
      message: { key: 'j', value: json('cut').subarray(0, 60) },
      code: 'SHUNT_EVENT_INVALID',
      stepId: null,
    },
    {
      name: 'JSON without a request',
      message: { key: 'r', value: Buffer.from(JSON.stringify({ stepId: 'no-request', taskId: 't', tenantId })) },
      code: 'SHUNT_EVENT_INVALID',
      stepId: 'no-request',
    },
    {
      name: 'an unknown tenant',
      message: { key: 't', value: json('unknown-tenant', { tenantId: 'initech' }) },
      code: 'SHUNT_TENANT_UNKNOWN',
      stepId: 'unknown-tenant',
    },
    {
      name: 'a request field that Shunt does not do',
      message: {
        key: 'f',
        value: json('audio', { request: { messages: [{ role: 'user', content: 'x' }], audio: {} } }),
      },
      code: 'SHUNT_REQUEST_UNSUPPORTED',
      stepId: 'audio',
    },
    {
      name: 'several answers asked for',
      message: { key: 'a', value: json('n-2', { request: { messages: [{ role: 'user', content: 'x' }], n: 2 } }) },
      code: 'SHUNT_REQUEST_UNSUPPORTED',
      stepId: 'n-2',
    },
    {
      name: 'a critical constraint that nobody knows',
      message: { key: 'k', value: json('critical', { constraints: { critical: ['quantumSafe'] } }) },
      code: 'SHUNT_CONSTRAINT_UNKNOWN',
      stepId: 'critical',
    },
    {
      name: '2 MB, compressed',
      message: { key: '2', value: large('large-2', 2 * MIB) },
      code: 'SHUNT_EVENT_TOO_LARGE',
      stepId: 'large-2',
    },
    {
      name: '20 MB, compressed',
      message: { key: '20', value: large('large-20', 20 * MIB), headers: { 'content-type': 'application/json' } },
      code: 'SHUNT_EVENT_TOO_LARGE',
      stepId: 'large-20',
    },
  ]
}
