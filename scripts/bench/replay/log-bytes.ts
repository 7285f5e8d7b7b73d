import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { stackDir } from '../../../cli/stack/paths.ts'

/**
 * Bytes of a topic's segments in the local broker's log directory, all partitions together. Without its indexes, which the
 * broker allocates ahead for the segment it writes to, and which are 0.2 % of a full one. Throws where the broker is not
 * the run's own, since only its disk can be looked at.
 */
export function logBytes(dir: string, topic: string): number {
  const logDir = join(stackDir(dir).data, 'kafka', 'log')
  const partitions = readdirSync(logDir).filter((name) => /^(.+)-\d+$/.exec(name)?.[1] === topic)
  if (partitions.length === 0) throw new Error(`${logDir} has no ${topic}: leave KAFKA_BROKERS unset`)
  return partitions
    .flatMap((partition) => readdirSync(join(logDir, partition)).map((file) => join(logDir, partition, file)))
    .filter((file) => file.endsWith('.log'))
    .reduce((sum, file) => sum + statSync(file).size, 0)
}
