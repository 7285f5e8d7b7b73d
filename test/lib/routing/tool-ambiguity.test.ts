import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatRequest, ChatTool } from '#lib/events/chat-request'
import { explainToolAmbiguity } from '#lib/routing/explain-tools'
import { rankTools, readToolAmbiguity } from '#lib/routing/tool-ambiguity'
import { eachWord, stem } from '#lib/routing/words'

function tool(name: string, description: string, ...required: string[]): ChatTool {
  const properties = Object.fromEntries(required.map((key) => [key, { type: 'string' }]))
  return { type: 'function', function: { name, description, parameters: { type: 'object', properties, required } } }
}

/** Fourteen tools as a file-system server over MCP offers them. */
const fileTools = [
  tool('read_file', 'Read the complete contents of a file as text.', 'path'),
  tool('read_text_file', 'Read the complete contents of a file from the file system as text.', 'path'),
  tool('read_media_file', 'Read an image or audio file as base64 data.', 'path'),
  tool('read_multiple_files', 'Read the contents of several files at the same time.', 'paths'),
  tool('write_file', 'Create a new file or overwrite an existing file with new content.', 'path', 'content'),
  tool('edit_file', 'Make line-based edits to a text file and show the differences.', 'path', 'edits'),
  tool('create_directory', 'Create a new directory or make sure that it exists.', 'path'),
  tool('list_directory', 'Get a listing of all files and directories in a path.', 'path'),
  tool('list_directory_with_sizes', 'Get a listing of all files and directories in a path, with sizes.', 'path'),
  tool('directory_tree', 'Get a recursive tree of files and directories as JSON.', 'path'),
  tool('move_file', 'Move or rename files and directories.', 'source', 'destination'),
  tool('search_files', 'Search for files and directories that match a pattern.', 'path', 'pattern'),
  tool('get_file_info', 'Get metadata about a file or directory: size, times, permissions.', 'path'),
  tool('list_allowed_directories', 'List the directories that this server may access.'),
]

/** As many that have nothing in common. */
const distinctTools = [
  tool('get_weather', 'Current weather of a city', 'city'),
  tool('book_flight', 'Book a flight between two airports', 'from'),
  tool('send_email', 'Send a message to a recipient', 'to'),
  tool('convert_currency', 'Change an amount from one currency into another', 'amount'),
  tool('translate_text', 'Translate words into another language', 'text'),
  tool('create_invoice', 'Bill a customer', 'customer'),
  tool('play_music', 'Play a song or an album', 'song'),
  tool('set_alarm', 'Wake somebody at a time', 'time'),
  tool('search_recipes', 'Find dishes by ingredient', 'ingredient'),
  tool('order_taxi', 'Send a car to an address', 'address'),
  tool('get_stock_price', 'Price of a share on the exchange', 'symbol'),
  tool('lookup_patient', 'Read a patient record', 'patientId'),
  tool('print_document', 'Print on paper', 'document'),
  tool('calculate_tax', 'Income tax of a year', 'income'),
]

const of = (content: string, tools: ChatTool[], choice?: ChatRequest['tool_choice']) =>
  readToolAmbiguity({
    messages: [{ role: 'user', content }],
    tools,
    ...(choice !== undefined && { tool_choice: choice }),
  })

describe('readToolAmbiguity', () => {
  test('fourteen overlapping tools are ambiguous where fourteen distinct ones are not', () => {
    for (const request of ['What is in the reports folder?', 'Show me all files in /srv/reports.', 'open the file'])
      expect(of(request, fileTools).ppm).toBeGreaterThan(300_000)
    for (const request of [
      'What is the weather in Basel?',
      'Translate "good morning" into Spanish',
      'Play a song by Nena',
    ])
      expect(of(request, distinctTools).ppm).toBeLessThan(100_000)
  })

  test('a request that names what only one of the overlapping tools does is less ambiguous', () => {
    expect(of('Rename draft.md to final.md', fileTools).ppm).toBeLessThan(250_000)
  })

  test('twins contest each other: the same tool twice is worse than once', () => {
    const once = of('Read /srv/q3.txt as text', [fileTools[1]!, distinctTools[0]!])
    const twice = of('Read /srv/q3.txt as text', [fileTools[0]!, fileTools[1]!, distinctTools[0]!])
    expect(once.contestPpm).toBeLessThan(50_000)
    expect(twice.contestPpm).toBeGreaterThan(200_000)
    expect(twice.twinsPpm).toBeGreaterThan(500_000)
    expect(twice.ppm).toBeGreaterThan(once.ppm)
  })

  test('no tool that fits is ambiguous, also where there is only one', () => {
    const outcome = of('What is the capital of France?', [distinctTools[6]!])
    expect(outcome).toMatchObject({ noFitPpm: 1_000_000, contestPpm: 0 })
    expect(outcome.ppm).toBeGreaterThan(300_000)
  })

  test('required arguments that nothing in the conversation could fill are missing', () => {
    const add: ChatTool = {
      type: 'function',
      function: {
        name: 'add_numbers',
        description: 'Add two numbers',
        parameters: {
          type: 'object',
          properties: { a: { type: 'number' }, b: { type: 'number' } },
          required: ['a', 'b'],
        },
      },
    }
    expect(of('Add the numbers', [add]).missingPpm).toBe(1_000_000)
    expect(of('Add the numbers 4 and', [add]).missingPpm).toBe(500_000)
    expect(of('Add the numbers 4 and seven', [add]).missingPpm).toBe(0)
  })

  test('what an earlier message or a tool said is evidence too', () => {
    const tools = [tool('get_policy', 'Read an insurance policy', 'policyId')]
    const messages = [
      { role: 'user' as const, content: 'My number is HH-55812.' },
      { role: 'assistant' as const, content: 'Thank you.' },
      { role: 'user' as const, content: 'Read the policy' },
    ]
    expect(readToolAmbiguity({ messages, tools }).missingPpm).toBe(0)
    expect(readToolAmbiguity({ messages: messages.slice(2), tools }).missingPpm).toBe(1_000_000)
  })

  test('a short last message is read with the ones before it', () => {
    const tools = [distinctTools[0]!, distinctTools[1]!]
    const messages = [
      { role: 'user' as const, content: 'Book a flight to Oslo' },
      { role: 'assistant' as const, content: 'At nine?' },
      { role: 'user' as const, content: 'Yes, please' },
    ]
    expect(readToolAmbiguity({ messages, tools }).noFitPpm).toBe(0)
  })

  test('there is nothing to choose without tools, with tool_choice none, or with a named tool', () => {
    expect(of('Do it', []).ppm).toBe(0)
    expect(of('Do it', fileTools, 'none').ppm).toBe(0)
    const named = of('Do it', fileTools, { type: 'function', function: { name: 'move_file' } })
    expect(named).toMatchObject({ contestPpm: 0, twinsPpm: 0, noFitPpm: 0 })
  })

  test('a tool without description and parameters is read by its name', () => {
    const bare: ChatTool[] = [
      { type: 'function', function: { name: 'getWeather' } },
      { type: 'function', function: { name: 'x' } },
    ]
    expect(of('The weather, please', bare)).toMatchObject({ ppm: 0 })
  })

  test('twins under other names compete, each alone, and more of them more', () => {
    const right = tool('get_weather', 'Current weather of a city', 'city')
    const renamed = [
      tool('mcp__meteo__fetch_weather_v2', 'Fetches the current weather for a given city', 'city_name'),
      tool('weatherLookup', 'Weather of a city. Deprecated, kept for older clients.', 'city'),
      tool('current_weather', 'current city weather', 'input_city', 'units'),
    ]
    const others = distinctTools.slice(1)
    const plain = of('Is it going to rain on the weather front in Basel?', [right, ...others])
    expect(plain.contestPpm).toBeLessThan(100_000)
    for (const twin of renamed) {
      const confusable = of('Is it going to rain on the weather front in Basel?', [right, twin, ...others.slice(1)])
      expect(confusable.contestPpm).toBeGreaterThan(3 * plain.contestPpm)
      expect(confusable.contestPpm).toBeGreaterThan(200_000)
    }
    expect(of('Is it going to rain on the weather front in Basel?', [right, ...renamed]).ppm).toBeGreaterThan(500_000)
  })

  test.each([
    ['Remove the folder of last year', 'delete_entry'],
    ['Make a folder for next year', 'create_entry'],
    ['Which folders are there? Show all of them', 'list_entries'],
    ['Rename the folder', 'update_entry'],
  ])('%j: the verb tells which of the tools for one object is meant', (request, right) => {
    const tools = ['create_entry', 'list_entries', 'update_entry', 'delete_entry'].map((name) =>
      tool(name, `${name.split('_')[0]!} a directory entry`),
    )
    expect(rankTools({ messages: [{ role: 'user', content: request }], tools })[0]).toBe(right)
  })

  test('short forms and words of one family match: repo, calc, capacitor', () => {
    const tools = [
      tool('calc_capacitance', 'Capacitance of two plates'),
      tool('fork_repository', 'Copy a repository'),
      tool('get_weather', 'Weather of a city'),
    ]
    const first = (content: string) => rankTools({ messages: [{ role: 'user', content }], tools })[0]
    expect(first('Fork my repo')).toBe('fork_repository')
    expect(first('I have a capacitor of 2 cm²')).toBe('calc_capacitance')
  })

  test('a choice is filled by one of its values, and a value by a word that is not of the tool itself', () => {
    const convert: ChatTool = {
      type: 'function',
      function: {
        name: 'convert_temperature',
        parameters: {
          type: 'object',
          properties: { unit: { enum: ['Celsius', 'Kelvin'] }, place: { type: 'string' }, round: { type: 'boolean' } },
          required: ['unit', 'place', 'round'],
        },
      },
    }
    expect(of('temperature in kelvin for oslo', [convert]).missingPpm).toBe(0)
    expect(of('temperature for oslo', [convert]).missingPpm).toBe(250_000)
    expect(of('convert the temperature', [convert]).missingPpm).toBe(750_000)
  })

  test('a tool set read before gives what it gave the first time, whatever came between', () => {
    const word = fc.constantFrom('file', 'read', 'city', 'delete', 'Weather', 'repo', 'übersicht', '天気予報', 'x')
    const text = fc.array(word, { maxLength: 6 }).map((words) => words.join(' '))
    const tools = fc.array(fc.record({ name: fc.array(word, { minLength: 1, maxLength: 3 }), text, required: text }), {
      maxLength: 15,
    })
    fc.assert(
      fc.property(text, tools, tools, (request, some, others) => {
        const build = (all: typeof some) =>
          all.map(({ name, text, required }) => tool(name.join('_'), text, ...required.split(' ')))
        const first = of(request, build(some))
        of(request, build(others))
        expect(of(request, build(some))).toEqual(first)
        for (const ppm of Object.values(first)) {
          expect(Number.isInteger(ppm)).toBe(true)
          expect(ppm).toBeGreaterThanOrEqual(0)
          expect(ppm).toBeLessThanOrEqual(1_000_000)
        }
      }),
    )
  })

  test('a schema of any shape is read', () => {
    const shapes: Record<string, unknown>[] = [
      {},
      { properties: null, required: 'path' },
      { properties: { a: true, b: null, c: [] }, required: ['a', 'b', 'c', 7] },
      { properties: { a: { enum: [] } }, required: ['a'] },
      {
        properties: { __proto__: {}, constructor: { description: 7, type: ['string', 'null'] } },
        required: ['constructor'],
      },
    ]
    for (const parameters of shapes)
      expect(of('do it', [{ type: 'function', function: { name: 'run', parameters } }]).ppm).toBeLessThanOrEqual(
        1_000_000,
      )
  })

  test('a request and tool set as large as a step may be is read in well under a second', () => {
    const many = Array.from({ length: 128 }, (_, i) =>
      tool(`tool_${i}`, `does thing ${i} with files and words `.repeat(60), 'path'),
    )
    const startMs = performance.now()
    of('read the file w '.repeat(30_000), many)
    of('a'.repeat(500_000), many)
    expect(performance.now() - startMs).toBeLessThan(5_000)
  })
})

describe('explainToolAmbiguity', () => {
  const explain = (content: string, tools: ChatTool[]) =>
    explainToolAmbiguity({ messages: [{ role: 'user', content }], tools }).join(' ')

  test('names the tools that compete and the arguments that nothing could fill', () => {
    const sentences = explain('Read the text of the file', fileTools)
    expect(sentences).toMatch(/^Of 14 tools, read_text_file fits best; the choice is \d+ % ambiguous\./)
    expect(sentences).toMatch(/others? (?:tool )?competes? with it: [^.]*read_file \(\d+ % alike\)/)
    expect(sentences).toContain('Nothing in the conversation could fill what read_text_file requires: path.')
  })

  test('says where no other tool competes, and where no tool fits', () => {
    expect(explain('What is the weather in Basel?', distinctTools)).toContain('No other tool competes with it.')
    expect(explain('What is the capital of France?', [distinctTools[6]!])).toContain('perhaps no tool fits')
    expect(explain('Hello', [])).toBe('There is no tool to choose.')
  })

  test('tells the ranking with the right tool first', () => {
    const messages = [{ role: 'user' as const, content: 'Rename draft.md to final.md' }]
    expect(rankTools({ messages, tools: fileTools })[0]).toBe('move_file')
  })
})

test.each([
  ['getHTTPResponse', ['get', 'http', 'response']],
  ['list_directory.v2', ['list', 'directory', 'v']],
  ['Größe prüfen', ['größe', 'prüfen']],
  ['天気予報 API', ['天気', '気予', '予報', 'api']],
])('%j falls into its words', (text, words) => {
  const found: string[] = []
  eachWord(text, (word) => found.push(word))
  expect(found).toEqual(words)
})

test.each([
  ['searches', 'searching', 'searched', 'search'],
  ['flights', 'flight'],
  ['classes', 'class'],
  ['addresses', 'address'],
  ['calculates', 'calculating', 'calculated', 'calculate'],
  ['cancels', 'cancelled', 'cancelling', 'cancel'],
  ['queries', 'query'],
  ['bookings', 'booking', 'booked', 'book'],
])('%s and its other forms have one stem', (...forms) => {
  expect(new Set(forms.map(stem)).size).toBe(1)
})
