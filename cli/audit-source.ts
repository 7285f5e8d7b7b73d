import { openExportSource } from '#lib/audit/export-source'
import { openKafkaSource } from '#lib/audit/kafka-source'
import type { AuditSource } from '#lib/audit/source'
import { createCodecOver } from '#lib/events/codec'
import { createRegistry } from '#lib/events/registry'
import { keepHeapSmall } from '#lib/service/heap-flags'
import { connectionOf, type CliContext } from './context.ts'

/**
 * The log that a command reads: an export, or Kafka's, in the namespace of the environment. A long one is much garbage of
 * which little is kept: without the limits a million decisions took 370 MB to verify, and as many to diff. Of records from
 * Kafka, at 30 percent the collector took a sixth of the time more, and at 100 a diff took 312 MB. Rows of an export come by
 * the group, and took 318 MB so.
 */
export async function openSource(context: CliContext, { from }: { from?: string } = {}): Promise<AuditSource> {
  const { config, kafka, log } = connectionOf(context)
  if (from !== undefined) {
    keepHeapSmall(2)
    return openExportSource(from, { log })
  }
  keepHeapSmall(8, 60)
  const { registryUrl, namespace } = config
  const registry = createRegistry(registryUrl)
  const codec = await createCodecOver({ registry, log, nowMs: Date.now }, { namespace })
  return openKafkaSource({ kafka, log, codec, registry }, namespace)
}
