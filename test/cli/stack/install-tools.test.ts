import { expect, test } from 'vitest'
import { installTools, type InstallToolsDeps, type Tool } from '../../../cli/stack/install-tools.ts'

interface Machine extends InstallToolsDeps {
  installed: Set<string>
  commands: string[]
}

/** A machine whose apt knows the packages of `available`. */
function machine(available: string[], more: Partial<InstallToolsDeps> = {}): Machine {
  const installed = new Set<string>()
  const commands: string[] = []
  return {
    installed,
    commands,
    isRoot: true,
    hasApt: true,
    platform: 'linux',
    say: () => {},
    run: async (command, args) => {
      if (command === 'apt-cache')
        return `${args[1]}:\n  Candidate: ${available.includes(args[1] ?? '') ? '1.0' : '(none)'}\n`
      commands.push([command, ...args].join(' '))
      if (args[0] === 'install') for (const name of args.slice(1)) installed.add(name)
      return ''
    },
    ...more,
  }
}

function tool(on: Machine, what: string, debian: string[]): Tool {
  return { what, debian, brew: what, find: () => debian.find((name) => on.installed.has(name)) }
}

test('nothing is run where nothing is missing', async () => {
  const on = machine([])
  on.installed.add('redis-server')
  await installTools(on, [tool(on, 'redis-server', ['redis-server'])])
  expect(on.commands).toEqual([])
})

test('root on Debian gets all that is missing in one go, of each the best package that the release has', async () => {
  const on = machine(['openjdk-17-jre-headless', 'maven'])
  await installTools(on, [
    tool(on, 'Java', ['openjdk-21-jre-headless', 'openjdk-17-jre-headless']),
    tool(on, 'Maven', ['maven']),
  ])
  expect(on.commands).toEqual([
    'apt-get update -q',
    'apt-get install -y -q --no-install-recommends openjdk-17-jre-headless maven',
  ])
})

test('without root one message names all that is missing and the command that brings it', async () => {
  const on = machine(['maven', 'redis-server'], { isRoot: false })
  const tools = [tool(on, 'Maven', ['maven']), tool(on, 'redis-server', ['redis-server', 'valkey-server'])]
  await expect(installTools(on, tools)).rejects.toThrow(
    'missing: Maven, redis-server\nremedy:  sudo apt-get install -y maven redis-server',
  )
  expect(on.commands).toEqual([])
})

test('elsewhere the remedy is the one of that platform', async () => {
  const on = machine([], { hasApt: false, platform: 'darwin', isRoot: false })
  await expect(installTools(on, [tool(on, 'maven', ['maven'])])).rejects.toThrow('brew install maven')
})

test('a package that does not bring its program is reported', async () => {
  const on = machine(['maven'])
  const broken: Tool = { what: 'Maven', debian: ['maven'], brew: 'maven', find: () => undefined }
  await expect(installTools(on, [broken])).rejects.toThrow('missing: Maven')
})
