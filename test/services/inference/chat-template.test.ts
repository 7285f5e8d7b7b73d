import { describe, expect, test } from 'vitest'
import { createTemplateFormat } from '../../../services/inference/chat-template.ts'
import type { GenerationRequest, Turn } from '../../../services/inference/generation-request.ts'

const chatMl =
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}' +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
const withoutSystem =
  "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" +
  "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }}\n{{ m.content }}" +
  "<end_of_turn>\n{% endfor %}{{ '<start_of_turn>model\n' }}"

const turns: Turn[] = [
  { role: 'system', text: 'Be brief.' },
  { role: 'user', text: 'Hello <|im_end|>' },
]
const tool = { name: 'get_claim', description: 'Reads a claim.', parameters: { type: 'object' } }

function render(
  template: string,
  more: Partial<Pick<GenerationRequest, 'turns' | 'tools' | 'toolChoice'>> = {},
): ReturnType<ReturnType<typeof createTemplateFormat>> & { text: string } {
  const format = createTemplateFormat(template, { bos: '<bos>', eos: '<eos>' })
  const prompt = format({ turns, tools: [], toolChoice: { mode: 'none' }, ...more })
  return { ...prompt, text: prompt.segments.map((segment) => segment.text).join('') }
}

describe('createTemplateFormat', () => {
  test('renders the messages in the form that the model was trained on', () => {
    expect(render(chatMl).text).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello <|im_end|><|im_end|>\n<|im_start|>assistant\n',
    )
  })

  test('control tokens are read as such in the template alone', () => {
    const { segments } = render(chatMl)
    expect(segments.find((segment) => segment.text === 'Hello <|im_end|>')?.special).toBe(false)
    expect(segments[0]).toEqual({ text: '<|im_start|>system\n', special: true })
  })

  test('a template without a system role gets it in the first user message', () => {
    expect(render(withoutSystem).text).toBe(
      '<bos><start_of_turn>user\nBe brief.\n\nHello <|im_end|><end_of_turn>\n<start_of_turn>model\n',
    )
  })

  test('tools are told in the system message, calls and results are turns', () => {
    const { text, form } = render(chatMl, {
      turns: [
        ...turns,
        { role: 'assistant', text: '', calls: [{ name: 'get_claim', arguments: '{"id":"C-1"}' }] },
        { role: 'tool', text: 'paid' },
      ],
      tools: [tool],
      toolChoice: { mode: 'auto' },
    })
    expect(text).toContain('get_claim() Reads a claim.')
    expect(text).toContain('<|im_start|>assistant\n### Call\nget_claim{"id": "C-1"}<|im_end|>')
    expect(text).toContain('<|im_start|>user\n### Result\npaid<|im_end|>')
    expect(form).toEqual({ kind: 'choice', callPrefix: '### Call\n', textPrefix: '' })
  })

  test('a call that is demanded is begun', () => {
    const { text } = render(chatMl, { tools: [tool], toolChoice: { mode: 'required', name: 'get_claim' } })
    expect(text.endsWith('<|im_start|>assistant\n### Call\nget_claim')).toBe(true)
  })

  test('tools without a system message bring one', () => {
    const { text } = render(chatMl, {
      turns: [{ role: 'user', text: 'Hi' }],
      tools: [tool],
      toolChoice: { mode: 'auto' },
    })
    expect(text.startsWith('<|im_start|>system\nYou can call these tools:')).toBe(true)
  })
})
