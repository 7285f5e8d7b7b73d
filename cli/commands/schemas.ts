import { connectionOf, type AddCommand } from '../context.ts'
import { plural, writeJson, writeLines } from '../output.ts'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'

export const addSchemasCommand: AddCommand = (program, run) => {
  const schemas = program.command('schemas').description('Avro schemas in the registry')
  schemas
    .command('register')
    .description("register this release's schemas under FULL_TRANSITIVE; safe to repeat")
    .option('--json', 'print the subjects as JSON')
    .action(
      run(async (context, options: { json?: true }) => {
        const { registryUrl, namespace } = connectionOf(context).config
        const { added, present } = await registerSchemas(createRegistry(registryUrl), namespace)
        if (options.json) return writeJson(context, { added, present })
        writeLines(context, [
          ...added.map((subject) => `registered ${subject}`),
          `${plural(added.length + present.length, 'schema')}: ${added.length} registered, ${present.length} present`,
        ])
      }),
    )
}
