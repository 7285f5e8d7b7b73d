import { parseArgs } from 'node:util'
import { benchSpine } from './spine/main.ts'
import { reached, writeFigures } from './figures.ts'
import { benchTools } from './tool-ambiguity.ts'
import { benchTrace } from './trace.ts'

const benches = { spine: benchSpine, tools: benchTools, trace: benchTrace }
const usage = `usage: npm run bench -- ${Object.keys(benches).join('|')} [--only PART,…] [--json OUT]`

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, only: { type: 'string' } },
})
const name = positionals[0] as keyof typeof benches
if (!Object.hasOwn(benches, name)) {
  console.error(usage)
  process.exit(2)
}
// Their children are ended on 'exit', the local stack by its guardian.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
const figures = await benches[name]({ only: values.only?.split(',') })
if (values.json !== undefined) writeFigures(values.json, name, figures)
const missed = figures.filter((figure) => reached(figure) === false).length
console.log(`\n${figures.length} figures, ${missed} not reached`)
