import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { topicNames } from '#lib/events/topics'
import { aclsOf, roles } from '#lib/stream/acls'

const page = readFileSync(new URL('../../deploy/kafka.md', import.meta.url), 'utf8')

test('deploy/kafka.md tells of each topic who may write and read it, as `shunt topics acls` has it', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `agent.'))
  const told = rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
  const those = (topic: string, operation: 'Read' | 'Write') =>
    roles
      .filter((role) =>
        aclsOf(role, '').some(
          ({ resource, prefixed, operations, names }) =>
            resource === 'topic' && !prefixed && operations.includes(operation) && names.includes(topic),
        ),
      )
      .join(', ')
  const topics = topicNames.filter((topic) => !topic.endsWith('.batch'))
  expect(told).toEqual(topics.map((topic) => [topic, those(topic, 'Write'), those(topic, 'Read')]))
})
