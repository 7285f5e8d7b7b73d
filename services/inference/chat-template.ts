import { randomUUID } from 'node:crypto'
import { Template } from '@huggingface/jinja'
import type { Turn } from './generation-request.ts'
import { describeTools, renderCall, type AnswerForm, type PromptFormat, type Segment } from './prompt-format.ts'

interface Message {
  role: 'system' | 'user' | 'assistant'
  content: string
}

const CALL_PREFIX = '### Call\n'

/**
 * The prompt for a model that brings a chat template (GGUF: tokenizer.chat_template). Tools are told in words and
 * called in the form of CALL_PREFIX, whatever the model was trained on: the grammar holds it to that, and one form is
 * read for every model. Contents are put in after rendering, so that control tokens named in a message stay text.
 */
export function createTemplateFormat(source: string, tokens: { bos: string; eos: string }): PromptFormat {
  const template = new Template(source)

  function render(messages: Message[]): Segment[] {
    const marker = randomUUID()
    const marked = messages.map((message, index) => ({ ...message, content: `${marker}:${index};` }))
    const text = template.render({
      messages: marked,
      add_generation_prompt: true,
      bos_token: tokens.bos,
      eos_token: tokens.eos,
    })
    // Odd pieces are indexes of messages.
    const pieces = text.split(new RegExp(`${marker}:(\\d+);`))
    return pieces.flatMap((piece, index): Segment[] => {
      if (index % 2 === 0) return piece === '' ? [] : [{ text: piece, special: true }]
      return [{ text: messages[Number(piece)]?.content ?? '', special: false }]
    })
  }

  return ({ turns, tools, toolChoice }) => {
    const offered = toolChoice.mode === 'none' ? [] : tools
    const messages = toMessages(turns, offered.length === 0 ? '' : explainTools(describeTools(offered)))
    const segments = renderEither(render, messages)
    const end = (prefill: string, form: AnswerForm) => ({
      segments: prefill === '' ? segments : [...segments, { text: prefill, special: false }],
      form,
      stop: [],
    })
    if (toolChoice.name !== undefined)
      return end(CALL_PREFIX + toolChoice.name, { kind: 'arguments', name: toolChoice.name })
    if (toolChoice.mode === 'required') return end(CALL_PREFIX, { kind: 'call' })
    if (toolChoice.mode === 'none') return end('', { kind: 'text' })
    return end('', { kind: 'choice', callPrefix: CALL_PREFIX, textPrefix: '' })
  }
}

/** Some templates raise an error on a system message: then it goes in front of the first user message. */
function renderEither(render: (messages: Message[]) => Segment[], messages: Message[]): Segment[] {
  const [first, second, ...others] = messages
  if (first?.role !== 'system' || second === undefined) return render(messages)
  try {
    return render(messages)
  } catch {
    return render([{ ...second, content: `${first.content}\n\n${second.content}` }, ...others])
  }
}

function explainTools(list: string): string {
  return `You can call these tools:\n${list}\nTo call one, answer only: ${CALL_PREFIX}name{"argument": "value"}`
}

/** System texts joined in front, tool results as the user's; neighbours of one role become one, as templates demand. */
function toMessages(turns: readonly Turn[], toolText: string): Message[] {
  const system = [...turns.flatMap((turn) => (turn.role === 'system' ? [turn.text] : [])), toolText]
  const all: Message[] = [{ role: 'system', content: system.filter((text) => text !== '').join('\n\n') }]
  for (const turn of turns) {
    if (turn.role === 'assistant') {
      const calls = turn.calls.map((call) => CALL_PREFIX + renderCall(call))
      all.push({ role: 'assistant', content: [turn.text, ...calls].filter((text) => text !== '').join('\n') })
    } else if (turn.role !== 'system')
      all.push({ role: 'user', content: turn.role === 'tool' ? `### Result\n${turn.text}` : turn.text })
  }
  return all.reduce<Message[]>((merged, message) => {
    const last = merged.at(-1)
    if (last?.role === message.role) last.content += `\n\n${message.content}`
    else if (message.content !== '') merged.push({ ...message })
    return merged
  }, [])
}
