import { createServer, type Server } from 'node:http'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { avroTypeOf } from '#lib/events/avro-type'
import { createCodec, createCodecOver, type Codec } from '#lib/events/codec'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { bundledSchema, type AvroNode } from '#lib/events/schemas'
import { subjectsIn } from '#lib/events/subjects'
import type { ControlOrder } from '#lib/events/types.generated'

const { registryUrl } = inject('stack')
const registry = createRegistry(registryUrl)
const log = { warn: () => {} }
const randomNamespace = (): string => `reg-${randomBytes(4).toString('hex')}`
const order: ControlOrder = { name: 'policy', orderId: 'o1', actor: 'a', reason: 'r', atMs: 5, value: '{}' }

/** control-order as it would be with `change` done to its fields. */
function otherForm(change: (fields: object[]) => object[]): AvroNode {
  const schema = bundledSchema('control-order') as { fields: object[] }
  return { ...schema, fields: change(schema.fields) }
}

function framed(id: number, bytes: Buffer): Buffer {
  const header = Buffer.alloc(5)
  header.writeUInt32BE(id, 1)
  return Buffer.concat([header, bytes])
}

describe('registering', () => {
  test('is idempotent, says what is new, and holds when two do it at once', async () => {
    const namespace = randomNamespace()
    const own = subjectsIn(namespace).flatMap(({ subject }) => (subject.startsWith(namespace) ? [subject] : []))
    const both = await Promise.all([registerSchemas(registry, namespace), registerSchemas(registry, namespace)])
    expect(both.flatMap(({ added }) => added)).toEqual(expect.arrayContaining(own))

    const again = await registerSchemas(registry, namespace)
    expect(again).toEqual({ added: [], present: subjectsIn(namespace).map(({ subject }) => subject) })
  })

  test('gives every subject one version under FULL_TRANSITIVE', async () => {
    const namespace = randomNamespace()
    await registerSchemas(registry, namespace)
    await registerSchemas(registry, namespace)
    for (const { subject } of subjectsIn(namespace)) {
      const config = await fetch(`${registryUrl}/config/${subject}`)
      expect(await config.json()).toMatchObject({ compatibilityLevel: 'FULL_TRANSITIVE' })
    }
    const versions = await fetch(`${registryUrl}/subjects/${namespace}.agent.steps-value/versions`)
    expect(await versions.json()).toHaveLength(1)
  })

  test("a schema that does not fit its predecessors is refused with the registry's reason", async () => {
    const subject = `${randomNamespace()}.agent.control-value`
    await registry.requireFullTransitive(subject)
    await registry.register(subject, JSON.stringify(bundledSchema('control-order')))
    const added = otherForm((fields) => [...fields, { name: 'urgency', type: 'int' }])
    await expect(registry.register(subject, JSON.stringify(added))).rejects.toMatchObject({
      code: 'SHUNT_SETUP_FAILED',
      retryable: false,
      message: expect.stringMatching(new RegExp(`^${subject}: the registry refuses .*urgency`)) as string,
    })
    expect(await registry.idOf(subject, JSON.stringify(added))).toBeUndefined()
  })
})

describe('the codec', () => {
  const namespace = randomNamespace()
  const subject = `${namespace}.agent.control-value`
  let older: { id: number; bytes: Buffer }
  let newer: { id: number; bytes: Buffer }
  let registered: { added: string[] }

  beforeAll(async () => {
    const { reason: _reason, ...withoutReason } = order
    const withDefault = otherForm((fields) =>
      fields.map((field) => ((field as { name: string }).name === 'reason' ? { ...field, default: '' } : field)),
    )
    await registry.requireFullTransitive(subject)
    // A release that had one field more, and one that has it again: between them lies ours.
    const wide = otherForm((fields) => [...fields, { name: 'urgency', type: 'int', default: 0 }])
    newer = {
      id: await registry.register(subject, JSON.stringify(wide)),
      bytes: avroTypeOf(wide).toBuffer({ ...order, urgency: 7 }),
    }
    registered = await registerSchemas(registry, namespace)
    older = {
      id: await registry.register(subject, JSON.stringify(withDefault)),
      bytes: avroTypeOf(withDefault).toBuffer({ ...withoutReason, reason: 'r' }),
    }
  })

  let proxy: CountingProxy
  afterEach(() => proxy.stop())

  async function codecBehindProxy(): Promise<Codec> {
    proxy = await startProxy(registryUrl)
    return createCodec({ registryUrl: proxy.url, namespace, log })
  }

  test('reads what it wrote, and what releases with other schemas wrote', async () => {
    const codec = await codecBehindProxy()
    expect(registered.added).toContain(subject)
    expect({ ...(await codec.decode('control-order', codec.encode('control-order', order))) }).toEqual(order)
    const asked = proxy.requests()
    for (const { id, bytes } of [older, newer, older, newer])
      expect({ ...(await codec.decode('control-order', framed(id, bytes))) }).toEqual(order)
    expect(proxy.requests() - asked).toBe(2)
  })

  test('asks once for an id that no schema has', async () => {
    const codec = await codecBehindProxy()
    const asked = proxy.requests()
    for (let i = 0; i < 20; i++)
      await expect(codec.decode('control-order', framed(0x7fffffff, newer.bytes))).rejects.toMatchObject({
        code: 'SHUNT_EVENT_UNDECODABLE',
        message: 'the registry has no schema with id 2147483647',
      })
    expect(proxy.requests() - asked).toBe(1)
  })

  test('tells a record of another schema, and a schema that is not Avro', async () => {
    const codec = await codecBehindProxy()
    const feedback = {
      stepId: 's',
      taskId: 't',
      tenantId: 'x',
      verdict: 'right',
      code: null,
      actor: null,
      atMs: 1,
    } as const
    await expect(codec.decode('control-order', codec.encode('step-feedback', feedback))).rejects.toMatchObject({
      code: 'SHUNT_EVENT_UNDECODABLE',
      message: expect.stringContaining('is dev.shunt.events.StepFeedback') as string,
    })
    const answer = await fetch(`${registryUrl}/subjects/${namespace}.json-value/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({
        schemaType: 'JSON',
        schema: '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}',
      }),
    })
    const { id } = (await answer.json()) as { id: number }
    await expect(codec.decode('control-order', framed(id, newer.bytes))).rejects.toMatchObject({
      code: 'SHUNT_EVENT_UNDECODABLE',
      message: expect.stringContaining('not an Avro schema') as string,
    })
  })

  test('goes on through an outage with what it knows, and blames no record for the rest', async () => {
    const codec = await codecBehindProxy()
    await proxy.stop()
    expect({ ...(await codec.decode('control-order', codec.encode('control-order', order))) }).toEqual(order)
    await expect(codec.decode('control-order', framed(newer.id, newer.bytes))).rejects.toMatchObject({
      code: 'SHUNT_REGISTRY_UNAVAILABLE',
      retryable: true,
    })
    await proxy.start()
    expect({ ...(await codec.decode('control-order', framed(newer.id, newer.bytes))) }).toEqual(order)
  })

  test('blames no record for a registry that answers 500, 401 or not at all', async () => {
    proxy = await startProxy(registryUrl)
    const { schemaById } = createRegistry(proxy.url, 1_000)
    const deps = { registry: { schemaById, idOf: registry.idOf }, log, nowMs: Date.now }
    const codec = await createCodecOver(deps, { namespace })
    for (const answer of [500, 401, 'nothing'] as const) {
      proxy.answer(answer)
      await expect(codec.decode('control-order', framed(newer.id, newer.bytes))).rejects.toMatchObject({
        code: 'SHUNT_REGISTRY_UNAVAILABLE',
        retryable: true,
      })
    }
  })

  test('is not made where the schemas are not registered, or the registry is away', async () => {
    proxy = await startProxy(registryUrl)
    await expect(createCodec({ registryUrl: proxy.url, namespace: randomNamespace(), log })).rejects.toMatchObject({
      code: 'SHUNT_SETUP_FAILED',
      message: expect.stringContaining('run `shunt schemas register`') as string,
    })
    await proxy.stop()
    await expect(createCodec({ registryUrl: proxy.url, namespace, log })).rejects.toMatchObject({
      code: 'SHUNT_REGISTRY_UNAVAILABLE',
      retryable: true,
    })
  })
})

interface CountingProxy {
  url: string
  requests(): number
  /** Answers with the status, or never, from now on. */
  answer(how: number | 'nothing'): void
  start(): Promise<void>
  stop(): Promise<void>
}

/** The registry as another address, which can be counted, broken and taken away. */
async function startProxy(target: string): Promise<CountingProxy> {
  let requests = 0
  let how: number | 'nothing' | undefined
  let server: Server | undefined
  let port = 0
  const proxy: CountingProxy = {
    url: '',
    requests: () => requests,
    answer: (next) => (how = next),
    async start() {
      server = createServer((request, response) => {
        requests++
        if (how === 'nothing') return
        if (how !== undefined) response.writeHead(how).end('{"message":"broken"}')
        else
          void forward(new URL(target).origin + request.url!, request.method!, request).then(({ status, body }) =>
            response.writeHead(status, { 'content-type': 'application/json' }).end(body),
          )
      })
      await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve))
      port = (server.address() as { port: number }).port
    },
    async stop() {
      const closing = server
      server = undefined
      if (!closing) return
      closing.closeAllConnections()
      await new Promise((resolve) => closing.close(resolve))
    },
  }
  await proxy.start()
  proxy.url = `http://127.0.0.1:${port}${new URL(target).pathname}`
  return proxy
}

async function forward(url: string, method: string, body: AsyncIterable<Uint8Array>) {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  const content = Buffer.concat(chunks)
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
  const response = await fetch(url, { method, headers, ...(content.length > 0 && { body: content }) })
  return { status: response.status, body: await response.text() }
}
