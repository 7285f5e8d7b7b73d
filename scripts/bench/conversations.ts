import type { ChatMessage } from '#lib/events/chat-request'
import { readDataLines } from './data-file.ts'

/** A whole agent task of tau-airline: policy, user, calls and results. */
export interface Conversation {
  id: string
  messages: ChatMessage[]
}

export function readConversations(): Conversation[] {
  return readDataLines<Conversation>('tau-airline.jsonl.gz')
}
