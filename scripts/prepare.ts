import { readRuntimeConfig } from '#lib/config'
import { ShuntError } from '#lib/errors'
import { createLogger } from '#lib/telemetry/logger'
import { prepareStack } from '../cli/stack/prepare.ts'

// What docker-compose.yml runs once before the services: `node scripts/prepare.ts POLICY_FILE`.

const [policyFile] = process.argv.slice(2)
if (policyFile === undefined) {
  process.stderr.write('usage: node scripts/prepare.ts POLICY_FILE\n')
  process.exit(2)
}
try {
  const config = readRuntimeConfig(process.env)
  const log = createLogger('prepare', process.env['SHUNT_LOG_LEVEL'] ?? 'warn')
  const activated = await prepareStack(config, { namespace: config.namespace, policyFile, log })
  process.stdout.write(
    `schemas and topics are there; ${activated ? `put ${policyFile} in force` : 'a policy is in force'}\n`,
  )
} catch (error) {
  if (!(error instanceof ShuntError)) throw error
  process.stderr.write(`${error.code}: ${error.message}\n`)
  process.exitCode = 1
}
