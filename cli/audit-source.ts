import { openKafkaSource } from '#lib/audit/kafka-source'
import type { AuditSource } from '#lib/audit/source'
import { createCodecOver } from '#lib/events/codec'
import { createRegistry } from '#lib/events/registry'
import { connectionOf, type CliContext } from './context.ts'

/** The log that a command reads: Kafka's, in the namespace of the environment. */
export async function openSource(context: CliContext): Promise<AuditSource> {
  const { config, kafka, log } = connectionOf(context)
  const { registryUrl, namespace } = config
  const registry = createRegistry(registryUrl)
  const codec = await createCodecOver({ registry, log, nowMs: Date.now }, { namespace })
  return openKafkaSource({ kafka, log, codec, registry }, namespace)
}
