import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ShuntError } from '#lib/errors'

export const OLDEST_JAVA = 17

/** For a JVM that starts often and does little: less than half the processor time until it is up. */
export const LIGHT_JVM = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

/** A java of release 17 or later: JAVA_HOME, the PATH, then where Debian and others put them. */
export function findJava(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const home = env['JAVA_HOME']
  const candidates = [
    ...(home === undefined ? [] : [join(home, 'bin', 'java')]),
    ...(findOnPath(['java'], env) ?? []),
    ...javasBelow('/usr/lib/jvm'),
    ...javasBelow('/opt/homebrew/opt'),
    ...javasBelow('/usr/local/opt'),
  ]
  return candidates.find((java) => javaRelease(java) >= OLDEST_JAVA)
}

export function requireJava(): string {
  const java = findJava()
  if (java === undefined) throw missing(`Java ${OLDEST_JAVA} or later`)
  return java
}

/** Valkey is Redis 7.2 under another name. */
export function findRedis(): string | undefined {
  return findOnPath(['redis-server', 'valkey-server'])?.[0]
}

export function requireRedis(): string {
  const redis = findRedis()
  if (redis === undefined) throw missing('redis-server')
  return redis
}

export function findMaven(): string | undefined {
  return findOnPath(['mvn'])?.[0]
}

/** A Python that has pip. */
export function findPip(): string | undefined {
  return findOnPath(['python3', 'python'])?.find(
    (python) => spawnSync(python, ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0,
  )
}

export function findOnPath(
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): string[] | undefined {
  const dirs = [...(env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/opt/homebrew/bin', '/usr/local/bin']
  const found = names.flatMap((name) => dirs.map((dir) => join(dir || '.', name)).filter((path) => existsSync(path)))
  return found.length === 0 ? undefined : [...new Set(found)]
}

function javasBelow(dir: string): string[] {
  if (!existsSync(dir)) return []
  return readdirSync(dir)
    .map((name) => join(dir, name, 'bin', 'java'))
    .filter((path) => existsSync(path))
}

/** `java -version` writes `version "17.0.15"`, or `"1.8.0"` before Java 9, to stderr. */
function javaRelease(java: string): number {
  try {
    const { stderr } = spawnSync(java, ['-version'], { encoding: 'utf8', timeout: 20_000 })
    return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0)
  } catch {
    return 0
  }
}

function missing(what: string): ShuntError {
  return new ShuntError(
    'SHUNT_SETUP_FAILED',
    `${what} was not found; \`npm start\` and \`npm test\` install what is missing`,
  )
}
