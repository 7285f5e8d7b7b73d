import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel, ResourcePatternTypes } from 'kafkajs'
import { aclsOf, type Acl, type AclOptions, type Role } from '#lib/stream/acls'
import { startPart } from '../../cli/stack/part.ts'
import { kafkaHome, stackDir } from '../../cli/stack/paths.ts'
import { freePort } from '../../cli/stack/ports.ts'
import { requireJava } from '../../cli/stack/tools.ts'

export interface SecuredKafka {
  /** Where nobody logs in and everything is allowed: for the test itself. */
  open: string
  /** Where each user is who it says, and may do what it was granted. */
  secured: string
  /** The variables of a user, whose principal is `User:NAME`. */
  envOf(user: string): Record<string, string>
  /** Grants what `shunt topics acls` prints for the role. */
  grant(role: Role, namespace: string, user: string, options?: AclOptions): Promise<void>
  /** Lets the user do everything with topics, groups and transactional ids that begin with the prefix. */
  grantAll(user: string, prefix: string): Promise<void>
  stop(): Promise<void>
}

/** A broker of its own with an authorizer. */
export async function startSecuredKafka(dir: string, users: readonly string[]): Promise<SecuredKafka> {
  const [plain, sasl, controller] = [await freePort(), await freePort(), await freePort()]
  const dirs = stackDir(dir)
  const home = join(dirs.data, 'secured-kafka')
  const properties = join(home, 'server.properties')
  const passwordOf = (user: string) => `password-of-${user}`
  const login = users.map((user) => `user_${user}="${passwordOf(user)}"`).join(' ')
  mkdirSync(home, { recursive: true })
  writeFileSync(
    properties,
    Object.entries({
      'process.roles': 'broker,controller',
      'node.id': 1,
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      'controller.listener.names': 'CONTROLLER',
      listeners: `OPEN://127.0.0.1:${plain},SECURED://127.0.0.1:${sasl},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': `OPEN://127.0.0.1:${plain},SECURED://127.0.0.1:${sasl}`,
      'listener.security.protocol.map': 'OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_PLAINTEXT',
      'inter.broker.listener.name': 'OPEN',
      'listener.name.secured.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.secured.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${login};`,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      'log.dirs': join(home, 'log'),
      'auto.create.topics.enable': false,
      'offsets.topic.replication.factor': 1,
      'offsets.topic.num.partitions': 4,
      'transaction.state.log.replication.factor': 1,
      'transaction.state.log.min.isr': 1,
      'transaction.state.log.num.partitions': 4,
      'share.coordinator.state.topic.replication.factor': 1,
      'share.coordinator.state.topic.min.isr': 1,
      'group.initial.rebalance.delay.ms': 0,
      'log.cleaner.dedupe.buffer.size': 16_777_216,
    })
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  const java = requireJava()
  const classPath = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp', join(kafkaHome, '*')]
  const clusterId = `A${randomBytes(16).toString('base64url').slice(1)}`
  const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', clusterId, '--config', properties]
  execFileSync(java, ['-Xmx128m', ...classPath, ...format])
  const open = `127.0.0.1:${plain}`
  const kafka = new Kafka({ brokers: [open], logLevel: logLevel.NOTHING, retry: { retries: 20 } })
  const part = await startPart({
    name: 'kafka',
    id: 'secured-kafka',
    command: java,
    args: ['-Xmx320m', '-XX:+UseSerialGC', ...classPath, 'kafka.Kafka', properties],
    cwd: home,
    env: process.env,
    address: open,
    logFile: join(dirs.log, 'secured-kafka.log'),
    runDir: dirs.run,
    probe: async () => {
      const admin = new Kafka({ brokers: [open], logLevel: logLevel.NOTHING, retry: { retries: 0 } }).admin()
      try {
        await admin.connect()
        return (await admin.describeCluster()).brokers.length > 0
      } finally {
        await admin.disconnect()
      }
    },
    stopGraceMs: 30_000,
  })
  const admin = kafka.admin()
  await admin.connect()

  return {
    open,
    secured: `127.0.0.1:${sasl}`,
    envOf: (user) => ({
      KAFKA_BROKERS: `127.0.0.1:${sasl}`,
      KAFKA_SASL_MECHANISM: 'plain',
      KAFKA_SASL_USERNAME: user,
      KAFKA_SASL_PASSWORD: passwordOf(user),
    }),
    async grant(role, namespace, user, options) {
      await admin.createAcls({ acl: aclsOf(role, namespace, options).flatMap((acl) => entriesOf(acl, user)) })
    },
    async grantAll(user, prefix) {
      const { TOPIC, GROUP, TRANSACTIONAL_ID } = AclResourceTypes
      await admin.createAcls({
        acl: [TOPIC, GROUP, TRANSACTIONAL_ID].map((resourceType) => ({
          principal: `User:${user}`,
          host: '*',
          permissionType: AclPermissionTypes.ALLOW,
          operation: AclOperationTypes.ALL,
          resourceName: prefix,
          resourceType,
          resourcePatternType: ResourcePatternTypes.PREFIXED,
        })),
      })
    },
    async stop() {
      await admin.disconnect()
      await part.stop()
    },
  }
}

function entriesOf({ resource, operations, prefixed, names }: Acl, user: string) {
  return names.flatMap((resourceName) =>
    operations.map((operation) => ({
      principal: `User:${user}`,
      host: '*',
      permissionType: AclPermissionTypes.ALLOW,
      operation:
        AclOperationTypes[operation.replace(/(?<=[a-z])[A-Z]/g, '_$&').toUpperCase() as keyof typeof AclOperationTypes],
      resourceName,
      resourceType: {
        topic: AclResourceTypes.TOPIC,
        group: AclResourceTypes.GROUP,
        'transactional-id': AclResourceTypes.TRANSACTIONAL_ID,
      }[resource],
      resourcePatternType: prefixed ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    })),
  )
}
