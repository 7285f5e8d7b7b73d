/**
 * Prints the assistant turns of tau-airline that a reader labels (test/labels), as JSON lines {conversation, message}.
 * The strata look for turns that are worth reading and know nothing of lib/routing, which is measured on them. Within a
 * stratum the order is a hash's: drawn without a look at the text.
 */
import { createHash } from 'node:crypto'
import { textsOf } from '#lib/routing/message-text'
import { readConversations, type Conversation } from './bench/conversations.ts'

const seed = 'trace-1'

/** How many turns of each kind of turn; 170 in all. */
const sizes = { troubledWord: 60, short: 45, statusWord: 20, plain: 25, noResult: 20 }
type Stratum = keyof typeof sizes

const shortChars = 300

function stratumOf({ messages }: Conversation, turn: number): Stratum {
  const before = messages[turn - 1]
  if (before?.role !== 'tool') return 'noResult'
  const text = textsOf(before).join('\n')
  if (text.length >= shortChars) return /cancelled|delayed|error|fail|invalid/i.test(text) ? 'statusWord' : 'plain'
  return /error|fail|invalid|not |exception|unable|cannot/i.test(text) ? 'troubledWord' : 'short'
}

interface Turn {
  conversation: string
  message: number
  stratum: Stratum
  order: string
}

const turns: Turn[] = []
for (const conversation of readConversations())
  for (const [message, { role }] of conversation.messages.entries()) {
    if (role !== 'assistant') continue
    const order = createHash('sha256').update(`${seed} ${conversation.id} ${message}`).digest('hex')
    turns.push({ conversation: conversation.id, message, stratum: stratumOf(conversation, message), order })
  }
turns.sort((a, b) => (a.order < b.order ? -1 : 1))
for (const [stratum, size] of Object.entries(sizes))
  for (const { conversation, message } of turns.filter((turn) => turn.stratum === stratum).slice(0, size))
    console.log(JSON.stringify({ conversation, message }))
