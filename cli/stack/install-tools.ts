import { spawn } from 'node:child_process'
import { ShuntError } from '#lib/errors'
import { findMaven, findJava, findOnPath, findPip, findRedis, OLDEST_JAVA } from './tools.ts'

/** A program that must be on the machine; `debian` are packages that bring it, the best first. */
export interface Tool {
  what: string
  find: () => string | undefined
  debian: readonly string[]
  brew: string
}

export const javaTool: Tool = {
  what: `Java ${OLDEST_JAVA} or later`,
  find: findJava,
  debian: ['openjdk-21-jre-headless', 'openjdk-17-jre-headless'],
  brew: 'openjdk@21',
}
export const mavenTool: Tool = { what: 'Maven', find: findMaven, debian: ['maven'], brew: 'maven' }
export const redisTool: Tool = {
  what: 'redis-server',
  find: findRedis,
  debian: ['redis-server', 'valkey-server'],
  brew: 'redis',
}
export const pipTool: Tool = { what: 'Python 3 with pip', find: findPip, debian: ['python3-pip'], brew: 'python' }

export interface InstallToolsDeps {
  isRoot: boolean
  hasApt: boolean
  platform: NodeJS.Platform
  /** Runs a command to its end; throws with its output when it fails. */
  run: (command: string, args: readonly string[]) => Promise<string>
  say: (line: string) => void
}

export function installToolsDeps(say: (line: string) => void): InstallToolsDeps {
  return {
    isRoot: process.getuid?.() === 0,
    hasApt: findOnPath(['apt-get']) !== undefined,
    platform: process.platform,
    run,
    say,
  }
}

/**
 * Installs what is missing where it may (root on Debian or its kin), and otherwise throws ONE error that names all of
 * it with the command to give. Throws SHUNT_SETUP_FAILED.
 */
export async function installTools(deps: InstallToolsDeps, tools: readonly Tool[]): Promise<void> {
  const missing = tools.filter((tool) => tool.find() === undefined)
  if (missing.length === 0) return
  if (!deps.isRoot || !deps.hasApt) throw await missingError(deps, missing)

  deps.say(`installing ${missing.map((tool) => tool.what).join(', ')} by apt-get …`)
  await deps.run('apt-get', ['update', '-q'])
  const packages = await Promise.all(missing.map((tool) => bestPackage(deps, tool)))
  await deps.run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages])
  const still = missing.filter((tool) => tool.find() === undefined)
  if (still.length > 0) throw await missingError(deps, still)
}

async function missingError(deps: InstallToolsDeps, missing: readonly Tool[]): Promise<ShuntError> {
  return new ShuntError(
    'SHUNT_SETUP_FAILED',
    `missing: ${missing.map((tool) => tool.what).join(', ')}\nremedy:  ${await remedy(deps, missing)}`,
  )
}

async function remedy(deps: InstallToolsDeps, missing: readonly Tool[]): Promise<string> {
  if (deps.hasApt) {
    const packages = await Promise.all(missing.map((tool) => bestPackage(deps, tool)))
    return `sudo apt-get install -y ${packages.join(' ')}`
  }
  if (deps.platform === 'darwin') return `brew install ${missing.map((tool) => tool.brew).join(' ')}`
  return 'install them with your package manager'
}

/** The first package that this release of the distribution has; the last of the list where apt knows none of them. */
async function bestPackage(deps: InstallToolsDeps, tool: Tool): Promise<string> {
  for (const name of tool.debian.slice(0, -1)) {
    const policy = await deps.run('apt-cache', ['policy', name])
    if (/Candidate: (?!\(none\))/.test(policy)) return name
  }
  return tool.debian.at(-1) ?? ''
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) return resolve(output)
      const tail = output.trimEnd().split('\n').slice(-12).join('\n')
      reject(new ShuntError('SHUNT_SETUP_FAILED', `${command} ${args.join(' ')} failed:\n${tail}`))
    })
  })
}
