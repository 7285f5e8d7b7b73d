import { InvalidArgumentError } from 'commander'
import { topicNames, topics } from '#lib/events/topics'
import { duration } from './options.ts'

const form = 'TOPIC=TIME, such as agent.steps=90d or agent.audit=for-ever; several with commas'
const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Longer than a task is expected to live. */
const shortAuditMs = 30 * dayMs

/** `agent.steps=90d,agent.results=for-ever`, by topic in milliseconds; -1 is for ever. May be repeated. */
export function retentionOption(text: string, before?: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  return new Map([...(before ?? []), ...text.split(',').map(entryOf)])
}

function entryOf(text: string): [string, number] {
  const match = /^([^=\s]+)=(for-ever|\d{1,9}[smhd])$/.exec(text)
  if (!match) throw new InvalidArgumentError(form)
  const [, topic = '', time = ''] = match
  const known = topicNames.find((each) => each === topic)
  if (!known && !topic.startsWith('agent.results.'))
    throw new InvalidArgumentError(`${topic} is no topic of Shunt; without namespace: ${retained().join(', ')}`)
  if (known && topics[known].compacted)
    throw new InvalidArgumentError(`${topic} is compacted: its last records are kept for ever`)
  const retentionMs = time === 'for-ever' ? -1 : duration(time)
  if (retentionMs >= 0 && retentionMs < hourMs)
    throw new InvalidArgumentError(`${topic} would lose its records before they are read: an hour at least`)
  return [topic, retentionMs]
}

function retained(): string[] {
  return topicNames.filter((topic) => !topics[topic].compacted)
}

/** Null where agent.audit is kept long enough for any task, or is not named. */
export function auditWarning(retention: ReadonlyMap<string, number> | undefined): string | null {
  const retentionMs = retention?.get('agent.audit') ?? -1
  if (retentionMs < 0 || retentionMs >= shortAuditMs) return null
  return 'agent.audit: what is gone from it is gone from budgets; keep it longer than any task lives (docs/budgets.md)'
}
