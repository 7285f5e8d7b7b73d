import kafkajs, { type Admin, type ConfigEntries } from 'kafkajs'
import { ShuntError } from '#lib/errors'

const { ConfigResourceTypes, ConfigSource } = kafkajs
const retentionMsName = 'retention.ms'

export interface RetentionChange {
  /** With its namespace. */
  topic: string
  /** Milliseconds; -1 is for ever. */
  fromMs: number
  toMs: number
}

/** What each topic sets for itself, and what it has from the broker; the topics must be there. */
async function configsOf(admin: Admin, topics: readonly string[]): Promise<Map<string, ConfigEntries[]>> {
  if (topics.length === 0) return new Map()
  const { resources } = await admin.describeConfigs({
    resources: topics.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
    includeSynonyms: false,
  })
  return new Map(resources.map(({ resourceName, configEntries }) => [resourceName, configEntries]))
}

/** How long the broker keeps each topic's records now; -1 for ever, as is what is compacted alone. */
export async function retentionsOf(admin: Admin, topics: readonly string[]): Promise<Map<string, number>> {
  const configs = await configsOf(admin, topics)
  return new Map([...configs].map(([topic, entries]) => [topic, retentionOf(entries)]))
}

function retentionOf(entries: readonly ConfigEntries[]): number {
  const valueOf = (wanted: string) => entries.find(({ configName }) => configName === wanted)?.configValue
  return valueOf('cleanup.policy') === 'compact' ? -1 : Number(valueOf(retentionMsName))
}

/**
 * Gives topics that exist another retention; what is as wanted is left alone. All are looked at before one is changed.
 * Throws SHUNT_CONFIG_INVALID where a topic would keep less than it does and `shorten` is not set: the broker deletes
 * what is older soon after.
 */
export async function setRetentions(
  admin: Admin,
  wanted: ReadonlyMap<string, number>,
  { shorten }: { shorten: boolean },
): Promise<RetentionChange[]> {
  const configs = await configsOf(admin, [...wanted.keys()])
  const changes = [...configs].flatMap(([topic, entries]): RetentionChange[] => {
    const [fromMs, toMs] = [retentionOf(entries), wanted.get(topic)!]
    return fromMs === toMs ? [] : [{ topic, fromMs, toMs }]
  })
  const shorter = changes.filter(isShorter)
  if (shorter.length > 0 && !shorten) {
    const named = shorter.map(({ topic, fromMs, toMs }) => `${topic} (${days(fromMs)} now, ${days(toMs)} asked for)`)
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      `records would be deleted of ${named.join(', ')}: export what must be kept, then give --shorten. Nothing was changed`,
    )
  }
  if (changes.length > 0)
    await admin.alterConfigs({
      validateOnly: false,
      resources: changes.map(({ topic, toMs }) => ({
        type: ConfigResourceTypes.TOPIC,
        name: topic,
        configEntries: withRetention(configs.get(topic)!, toMs),
      })),
    })
  return changes
}

export function isShorter({ fromMs, toMs }: Pick<RetentionChange, 'fromMs' | 'toMs'>): boolean {
  return toMs >= 0 && (fromMs < 0 || toMs < fromMs)
}

/** The request replaces everything that the topic sets for itself: what stands there is sent again. */
function withRetention(entries: readonly ConfigEntries[], retentionMs: number): { name: string; value: string }[] {
  const kept = entries.filter(
    ({ configName, configSource }) => configSource === ConfigSource.TOPIC_CONFIG && configName !== retentionMsName,
  )
  return [
    ...kept.map(({ configName, configValue }) => ({ name: configName, value: configValue })),
    { name: retentionMsName, value: String(retentionMs) },
  ]
}

function days(ms: number): string {
  return ms < 0 ? 'for ever' : `${Number((ms / 86_400_000).toFixed(2))} d`
}
