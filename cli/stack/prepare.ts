import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { createCodec } from '#lib/events/codec'
import { ownResultsTopics } from '#lib/events/results-topic'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { ShuntError } from '#lib/errors'
import { activatePolicy } from '#lib/policy/activate'
import { demandScorer } from '#lib/policy/demand-scorer'
import { parsePolicy } from '#lib/policy/load'
import { trainedHashOf } from '#lib/policy/scorer-choice'
import { readScorerFile } from '#lib/policy/scorer-file'
import { createPolicyStore } from '#lib/policy/policy-store'
import { applyTopics } from '#lib/stream/apply-topics'
import { createKafkaFactory } from '#lib/stream/kafka'
import type { Logger } from '#lib/telemetry/logger'
import type { StackAddresses } from './stack.ts'

export interface PrepareOptions {
  namespace: string
  /** Activated where no policy is in force. */
  policyFile: string
  /** @default 4 */
  partitions?: number
  log: Logger
}

/**
 * What the services need before they start: schemas, topics with their lanes, a policy in force. Safe to repeat.
 * Returns whether the policy file was put in force. Throws SHUNT_POLICY_INVALID, SHUNT_OFFSETS_LOST,
 * and SHUNT_SCORER_MISSING for a policy file that names a scorer which nobody published.
 */
export async function prepareStack(addresses: StackAddresses, options: PrepareOptions): Promise<boolean> {
  const { namespace, log } = options
  // Before anything is written: a file with mistakes in it leaves nothing behind.
  const scorer = readScorerFile()
  const loaded = parsePolicy(readFileSync(options.policyFile, 'utf8'), options.policyFile, scorer.hash)
  await registerSchemas(createRegistry(addresses.registryUrl), namespace)
  const codec = await createCodec({ registryUrl: addresses.registryUrl, namespace, log })
  const kafka = createKafkaFactory({ log }, { brokers: addresses.brokers, security: addresses.kafkaSecurity })
  const actor = process.env['SHUNT_ACTOR'] ?? userInfo().username
  const { lost } = await applyTopics(
    { kafka, log, nowMs: Date.now, encodeOrder: (order) => codec.encode('control-order', order) },
    {
      namespace,
      actor,
      resultsTopics: ownResultsTopics(loaded.policy),
      ...(options.partitions !== undefined && { partitions: options.partitions }),
    },
  )
  if (lost.length > 0) throw new ShuntError('SHUNT_OFFSETS_LOST', `of ${lost.join(', ')}: run \`shunt lanes recover\``)

  await using policies = createPolicyStore({ kafka, codec, log }, { namespace })
  if (await policies.ready()) return false
  const own = trainedHashOf(loaded.policy) === scorer.hash ? scorer : null
  await demandScorer({ kafka, codec, log }, loaded, own, namespace)
  await activatePolicy({ kafka, codec, nowMs: Date.now }, loaded, {
    namespace,
    actor,
    reason: 'none was in force',
    scorer: own,
  })
  return true
}
