import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { ChatMessage } from '#lib/events/chat-request'

/** A whole agent task of tau-airline: policy, user, calls and results. */
export interface Conversation {
  id: string
  messages: ChatMessage[]
}

const defaultDir = fileURLToPath(new URL('../../../shared/data', import.meta.url))

/** All conversations of tau-airline.jsonl.gz, from SHUNT_DATA_DIR or ../shared/data beside the repository. */
export function readConversations(dir = process.env['SHUNT_DATA_DIR'] ?? defaultDir): Conversation[] {
  const file = `${dir}/tau-airline.jsonl.gz`
  if (!existsSync(file)) throw new Error(`${file} is missing: set SHUNT_DATA_DIR to the directory that has it`)
  const lines = gunzipSync(readFileSync(file)).toString('utf8').split('\n')
  return lines.filter(Boolean).map((line) => JSON.parse(line) as Conversation)
}
