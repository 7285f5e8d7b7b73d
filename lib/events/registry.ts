import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import avsc from 'avsc'
import { ShuntError } from '#lib/errors'

/** Look-ups of many unknown ids queue here instead of flooding the registry. */
const maxSockets = 4

/** What Shunt asks of a schema registry with the Confluent API. Throws SHUNT_REGISTRY_UNAVAILABLE, retryable. */
export interface Registry {
  /** The writer's schema; undefined where no schema has the id, a string that says why where it is not Avro. */
  schemaById: (id: number) => Promise<avsc.Type | string | undefined>
  /** The id of exactly this schema text under the subject, or undefined. */
  idOf: (subject: string, schema: string) => Promise<number | undefined>
  /** Throws SHUNT_SETUP_FAILED with the registry's reason where the schema does not fit its predecessors. */
  register: (subject: string, schema: string) => Promise<number>
  /** Takes the subject from the list; its schemas can still be read by their ids. One that is not there is no error. */
  remove: (subject: string) => Promise<void>
  /** Puts the subject, which need not exist yet, under FULL_TRANSITIVE. */
  requireFullTransitive: (subject: string) => Promise<void>
}

/**
 * `requestTimeoutMs` bounds each request, a queued one included. Long, since only a record of a schema that was never
 * seen waits for it, and a registry that has just started is slow.
 */
export function createRegistry(registryUrl: string, requestTimeoutMs = 10_000): Registry {
  const { host, auth } = splitCredentials(registryUrl)
  const client = new SchemaRegistry({
    host,
    ...(auth && { auth }),
    clientId: 'shunt',
    agent: new (host.startsWith('https:') ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets }),
    retry: { retries: 2 },
    // The client sets no time-out of its own, and a registry that accepts and never answers would hold a lane for ever.
    middlewares: [() => ({ prepareRequest: async (next) => (await next()).enhance({ timeout: requestTimeoutMs }) })],
  })
  const unavailable = (cause: unknown): ShuntError =>
    new ShuntError(
      'SHUNT_REGISTRY_UNAVAILABLE',
      `schema registry ${host}: ${reasonOf(cause)}; check SCHEMA_REGISTRY_URL and that the registry runs`,
      { retryable: true, cause },
    )

  async function idOf(subject: string, schema: string): Promise<number | undefined> {
    try {
      return await client.getRegistryIdBySchema(subject, { type: SchemaType.AVRO, schema })
    } catch (error) {
      // The client turns a 404 into an error of this name and leaves every other status on the error.
      if (statusOf(error) === undefined && error instanceof Error && error.name === 'ConfluentSchemaRegistryError')
        return undefined
      throw unavailable(error)
    }
  }

  return {
    async schemaById(id) {
      try {
        const schema = await client.getSchema(id)
        return avsc.Type.isType(schema) ? (schema as unknown as avsc.Type) : 'it is not an Avro schema'
      } catch (error) {
        if (statusOf(error) === 404) return undefined
        if (statusOf(error) !== undefined) throw unavailable(error)
        return `it cannot be read: ${reasonOf(error)}`
      }
    },

    idOf,

    async register(subject, schema) {
      try {
        const options = { subject, compatibility: COMPATIBILITY.FULL_TRANSITIVE }
        return (await client.register({ type: SchemaType.AVRO, schema }, options)).id
      } catch (error) {
        // Another process that registers the same at this moment makes Apicurio refuse one of the two.
        const id = await idOf(subject, schema)
        if (id !== undefined) return id
        const status = statusOf(error)
        if (status !== 409 && status !== 422) throw unavailable(error)
        throw new ShuntError(
          'SHUNT_SETUP_FAILED',
          `${subject}: the registry refuses the schema: ${reasonOf(error)}. Give each new field a default, remove or rename none, and put null first in unions`,
          { cause: error },
        )
      }
    },

    async remove(subject) {
      const path = `/subjects/${encodeURIComponent(subject)}`
      const answer = await ask('DELETE', path)
      if (answer.status !== 200 && answer.status !== 404)
        throw unavailable(new Error(`DELETE ${path} gave ${answer.status}: ${answer.text}`))
    },

    async requireFullTransitive(subject) {
      const put = () => ask('PUT', path, { compatibility: COMPATIBILITY.FULL_TRANSITIVE })
      const path = `/config/${encodeURIComponent(subject)}`
      let answer = await put()
      // As above: the level exists now and can be set again.
      if (answer.status === 409) answer = await put()
      if (answer.status !== 200) throw unavailable(new Error(`PUT ${path} gave ${answer.status}: ${answer.text}`))
    },
  }

  /** What the client has no call for. */
  async function ask(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(`${host}${path}`, {
        method,
        headers: {
          'content-type': 'application/vnd.schemaregistry.v1+json',
          ...(auth && { authorization: `Basic ${btoa(`${auth.username}:${auth.password}`)}` }),
        },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(requestTimeoutMs),
      })
      return { status: response.status, text: await response.text() }
    } catch (error) {
      throw unavailable(error)
    }
  }
}

/** A URL may carry `user:password@`, which neither fetch nor the client's `host` takes. */
function splitCredentials(registryUrl: string): { host: string; auth?: { username: string; password: string } } {
  const url = new URL(registryUrl)
  const auth = { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
  url.username = ''
  url.password = ''
  const host = url.href.replace(/\/+$/, '')
  return auth.username === '' ? { host } : { host, auth }
}

/** HTTP status of the client's error; a network error has 400 there. */
function statusOf(error: unknown): number | undefined {
  const status = (error as { status?: unknown } | null)?.status
  return typeof status === 'number' ? status : undefined
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
