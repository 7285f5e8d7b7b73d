import { schemaText } from './avro-type.ts'
import type { Registry } from './registry.ts'
import { subjectsIn } from './subjects.ts'
import { inNamespace } from './topics.ts'

export interface RegisteredSchemas {
  /** Subjects that got a schema or a new version of theirs. */
  added: string[]
  /** Subjects that had this release's schema already. */
  present: string[]
}

/**
 * Registers every schema of this release under FULL_TRANSITIVE. Idempotent, and safe to run at several places at once (Apicurio
 * may then count the same schema as two versions, with one id).
 * Throws SHUNT_SETUP_FAILED with the registry's reason where a schema does not fit its predecessors (those before it
 * stay registered: they fit), SHUNT_REGISTRY_UNAVAILABLE (retryable).
 */
export async function registerSchemas(registry: Registry, namespace: string): Promise<RegisteredSchemas> {
  const registered: RegisteredSchemas = { added: [], present: [] }
  for (const { subject, name } of subjectsIn(namespace)) {
    const schema = schemaText(name)
    // Before the first version, so that there is no moment in which anything goes.
    await registry.requireFullTransitive(subject)
    if ((await registry.idOf(subject, schema)) !== undefined) registered.present.push(subject)
    else {
      await registry.register(subject, schema)
      registered.added.push(subject)
    }
  }
  return registered
}

/** Takes the subjects of a namespace that is gone from the registry. Those of audit bodies are everybody's. */
export async function removeSchemas(registry: Pick<Registry, 'remove'>, namespace: string): Promise<void> {
  if (namespace === '') throw new RangeError('the empty namespace is everything')
  for (const { subject } of subjectsIn(namespace))
    if (subject.startsWith(inNamespace(namespace, ''))) await registry.remove(subject)
}
