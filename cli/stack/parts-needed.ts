import type { InfrastructureName } from './part-record.ts'

/** What stands in for local parts where it is set. */
export const replacements = {
  kafka: 'KAFKA_BROKERS',
  registry: 'SCHEMA_REGISTRY_URL',
  redis: 'REDIS_URL',
  inference: 'SHUNT_BACKEND_URL',
} as const satisfies Record<InfrastructureName, string>

export type Env = Readonly<Record<string, string | undefined>>

/** True where the environment names no other one to use, so that it has to run here. */
export function runsLocally(part: InfrastructureName, env: Env): boolean {
  return (env[replacements[part]] ?? '') === ''
}
