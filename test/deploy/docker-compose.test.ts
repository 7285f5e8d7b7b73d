import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { replacements } from '../../cli/stack/parts-needed.ts'
import { serviceNames } from '../../cli/stack/part-record.ts'
import { repositoryDir } from '../../cli/stack/paths.ts'

interface ComposeService {
  image?: string
  build?: { dockerfile: string; target: string }
  command?: string[]
  environment?: Record<string, string | number>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test?: string[]; disable?: boolean }
  volumes?: unknown[]
  stop_grace_period?: string
}

/** Compose writes `disable: true` either as it is or as the test NONE. */
function isUnwatched({ healthcheck }: ComposeService): boolean {
  return healthcheck?.test === undefined || healthcheck.disable === true || healthcheck.test[0] === 'NONE'
}

const INSTALL_TIMEOUT_MS = 300_000

function works([command = '', ...args]: string[]): boolean {
  return spawnSync(command, [...args, 'version'], { stdio: 'ignore' }).status === 0
}

/** docker-compose 1.29 or the plugin; root on Debian installs the former where neither is there. */
function findCompose(): string[] | undefined {
  const candidates = [['docker-compose'], ['docker', 'compose']]
  const found = candidates.find(works)
  if (found || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return found
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'docker-compose']])
    spawnSync('apt-get', ['-q', ...args], { env, stdio: 'ignore' })
  return candidates.find(works)
}

let compose: string[] | undefined
let services: Record<string, ComposeService> = {}

beforeAll(() => {
  compose = findCompose()
  if (!compose) return
  const [command = '', ...args] = compose
  // A variable of the machine would change what is checked.
  const env = { ...process.env, SHUNT_NAMESPACE: '', SHUNT_BACKEND_URL: '' }
  const output = execFileSync(command, [...args, '-f', join(repositoryDir, 'docker-compose.yml'), 'config'], {
    cwd: repositoryDir,
    encoding: 'utf8',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  services = (parse(output) as { services: Record<string, ComposeService> }).services
}, INSTALL_TIMEOUT_MS)

describe('docker-compose.yml', () => {
  beforeEach((context) => {
    if (!compose && process.getuid?.() !== 0) context.skip('neither docker-compose nor docker compose is here')
  })

  test('is accepted by Compose, with every part that Shunt has', () => {
    expect(Object.keys(services).toSorted()).toEqual(
      ['inference', 'kafka', 'prepare', 'redis', 'registry', ...serviceNames].toSorted(),
    )
  })

  test('pins the releases that the local stack runs', () => {
    expect(services['kafka']?.image).toBe('apache/kafka:4.2.1')
    expect(services['registry']?.image).toMatch(/^apicurio\/apicurio-registry-\w+:2\.6\.13\.Final$/)
    expect(services['redis']?.image).toBe('redis:7')
  })

  test('keeps records, schemas and claims over a restart', () => {
    expect(services['kafka']?.volumes).toHaveLength(1)
    expect(services['redis']?.volumes).toHaveLength(1)
    // The registry's storage is Kafka itself; the image that keeps all in memory would lose the ids of old records.
    expect(services['registry']?.image).toContain('-kafkasql:')
    expect(String(services['kafka']?.environment?.['KAFKA_OFFSETS_RETENTION_MINUTES'])).toBe('525600')
    expect(services['redis']?.command).toEqual(expect.arrayContaining(['--appendonly', 'noeviction']))
  })

  test('knows of every long-running part when it is well, and starts nothing before what it needs', () => {
    const unwatched = Object.entries(services).flatMap(([name, service]) => (isUnwatched(service) ? [name] : []))
    expect(unwatched).toEqual(['prepare'])
    for (const name of serviceNames)
      expect(services[name]?.depends_on).toEqual({
        prepare: { condition: 'service_completed_successfully' },
        redis: { condition: 'service_healthy' },
      })
  })

  test('runs files that exist, told where everything is, with time to drain', () => {
    for (const name of serviceNames) {
      const service = services[name]
      expect(service?.command).toEqual(['node', `services/${name}/main.ts`])
      expect(Object.keys(service?.environment ?? {})).toEqual(expect.arrayContaining(Object.values(replacements)))
      expect(service?.stop_grace_period).toBe('30s')
      // The same after a container was made anew, so that lanes stay where they were.
      expect(service?.environment?.['SHUNT_REPLICA']).toBe(`${name}-1`)
    }
    const files = Object.values(services).flatMap(({ build, command }) => [
      ...(build ? [build.dockerfile] : []),
      ...(command?.[0] === 'node' ? command.slice(1, 2) : []),
    ])
    expect(files.filter((file) => !existsSync(join(repositoryDir, file)))).toEqual([])
  })
})
