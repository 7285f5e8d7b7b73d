import { expect, test } from 'vitest'
import { addTopicsCommand } from '../../../cli/commands/topics.ts'
import { runCommand } from '../../support/run-command.ts'

const run = (...args: string[]) => runCommand([addTopicsCommand], ['topics', 'acls', ...args])

test('prints a command of kafka-acls.sh for each thing that a role may do', async () => {
  const { code, out } = await run(
    '--role',
    'ledger',
    '--principal',
    'ledger=User:CN=ledger,O=acme',
    '--command-config',
    'admin.conf',
  )
  expect(code).toBe(0)
  const [title, ...commands] = out.trimEnd().split('\n')
  expect(title).toBe('# ledger')
  const start =
    /^kafka-acls\.sh --bootstrap-server \S+:\d+ --command-config 'admin\.conf' --add --allow-principal 'User:CN=ledger,O=acme' /
  for (const command of commands) expect(command).toMatch(start)
  expect(commands.map((command) => command.replace(start, ''))).toEqual([
    '--operation Read --topic agent.audit --topic agent.feedback --topic agent.control --topic agent.policies',
    '--operation Write --topic agent.audit --topic agent.deadletter',
    '--operation Read --group ledger',
    '--operation Read --operation Delete --resource-pattern-type prefixed --group policy-store- --group agent.control.markers- --group ledger-rebuild- --group agent.audit-behind- --group agent.feedback-behind- --group agent.control-behind-',
    '--operation Write --resource-pattern-type prefixed --transactional-id ledger.',
  ])
})

test("a tenant's publisher reads its own topic for results in place of the shared one", async () => {
  const { out } = await run('--role', 'publisher', '--results-topic', 'agent.results.clinic')
  expect(out).toMatch(/ --operation Read --topic agent\.results\.clinic\n/)
  expect(out).not.toMatch(/agent\.results(?!\.clinic)/)
})

test('every role has a principal of its own unless it is named', async () => {
  const granted = JSON.parse((await run('--json', '--principal', 'publisher=User:agents')).out) as {
    role: string
    principal: string
  }[]
  expect(granted.map(({ role, principal }) => `${role} ${principal}`)).toEqual([
    'publisher User:agents',
    ...['classifier', 'oss-pool', 'frontier', 'ledger', 'operator', 'administrator', 'auditor'].map(
      (role) => `${role} User:shunt-${role}`,
    ),
  ])
})

test.each([
  ['--principal', 'nobody=User:x'],
  ['--principal', 'ledger'],
  ['--principal', "ledger=User:it's"],
  ['--role', 'nobody'],
  ['--results-topic', 'results.clinic'],
])('%s %s is wrong usage', async (...args) => {
  await expect(run(...args)).rejects.toMatchObject({ code: 'commander.invalidArgument' })
})
