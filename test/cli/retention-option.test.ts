import { describe, expect, test } from 'vitest'
import { auditWarning, retentionOption } from '../../cli/retention-option.ts'

const dayMs = 86_400_000

describe('--retention', () => {
  test('reads topics with their times, and adds to what an earlier one named', () => {
    const first = retentionOption('agent.steps=90d,agent.results.acme=36h')
    expect([...retentionOption('agent.audit=for-ever,agent.steps=100d', first)]).toEqual([
      ['agent.steps', 100 * dayMs],
      ['agent.results.acme', 1.5 * dayMs],
      ['agent.audit', -1],
    ])
  })

  test.each([
    ['agent.step=90d', /agent\.step is no topic of Shunt.*agent\.steps, /],
    ['agent.policies=90d', /is compacted/],
    ['agent.control=for-ever', /is compacted/],
    ['agent.steps=90', /TOPIC=TIME/],
    ['agent.steps', /TOPIC=TIME/],
    ['agent.steps=90d,', /TOPIC=TIME/],
    ['agent.steps=0d', /an hour at least/],
    ['agent.steps=59m', /an hour at least/],
    ['toString=90d', /is no topic/],
  ])('refuses %s', (text, message) => {
    expect(() => retentionOption(text)).toThrow(message)
  })

  test('warns of an audit that a task may outlive, and of nothing else', () => {
    expect(auditWarning(retentionOption('agent.audit=29d'))).toMatch(/agent\.audit: .*docs\/budgets\.md/)
    for (const text of ['agent.audit=30d', 'agent.audit=for-ever', 'agent.steps=1d'])
      expect(auditWarning(retentionOption(text))).toBeNull()
    expect(auditWarning(undefined)).toBeNull()
  })
})
