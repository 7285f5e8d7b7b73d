import type { ChatMessage, ChatTool } from '#lib/events/chat-request'
import type { BfclItem } from './bfcl.ts'
import { pick, shuffled, type Random } from '#lib/calibration/seeded-random'
import type { MakeTwin } from './twins.ts'

export const offerSize = 14

/** The same request with two tool sets of one size: in one, some of the others do what the right tool does. */
export interface OfferPair {
  group: string
  plain: Offer
  confusable: Offer
  twins: number
}

export interface Offer {
  messages: ChatMessage[]
  tools: ChatTool[]
}

/**
 * `plain`: the right tool and thirteen of other items at random. `confusable`: 2 to 13 of these give way to twins of the
 * right tool, each of one of the kinds, or of two of them one after the other.
 */
export function makeOfferPair(
  item: BfclItem,
  pool: readonly ChatTool[],
  kinds: Readonly<Record<string, MakeTwin>>,
  random: Random,
): OfferPair {
  const right = item.request.tools.find((tool) => item.right.has(tool.function.name))!
  const makers = Object.values(kinds)
  const twinCount = 2 + Math.floor(random() * (offerSize - 2))
  const names = new Set([right.function.name])
  const others = draw(offerSize - 1, names, () => pick(pool, random))
  const twins = draw(twinCount, names, () => {
    const once = pick(makers, random)(right, random)
    return random() < 0.5 ? once : pick(makers, random)(once, random)
  })
  const offer = (rest: readonly ChatTool[]) => ({
    messages: item.request.messages,
    tools: shuffled([right, ...rest], random),
  })
  return {
    group: item.group,
    plain: offer(others),
    confusable: offer([...twins, ...others.slice(twinCount)]),
    twins: twinCount,
  }
}

/** Tools of distinct names, which OpenAI asks for. */
function draw(count: number, names: Set<string>, next: () => ChatTool): ChatTool[] {
  const drawn: ChatTool[] = []
  for (let tries = 0; drawn.length < count; tries++) {
    const tool = next()
    const { name } = tool.function
    // Some tools have few twins: the next ones are numbered.
    const free =
      names.has(name) && tries > 50 ? { ...tool, function: { ...tool.function, name: `${name}_${tries}` } } : tool
    if (names.has(free.function.name)) continue
    names.add(free.function.name)
    drawn.push(free)
  }
  return drawn
}
