import type { Acl, Role } from '#lib/stream/acls'

export interface GrantedAcls {
  role: Role
  principal: string
  acls: readonly Acl[]
}

/** Lines of a shell script. Adding what is there already changes nothing. */
export function aclCommands(
  granted: readonly GrantedAcls[],
  options: { brokers: readonly string[]; configFile?: string | undefined },
): string[] {
  const login = options.configFile === undefined ? '' : ` --command-config ${quoted(options.configFile)}`
  const command = `kafka-acls.sh --bootstrap-server ${options.brokers.join(',')}${login} --add`
  return granted.flatMap(({ role, principal, acls }, i) => [
    ...(i > 0 ? [''] : []),
    `# ${role}`,
    ...acls.map((acl) => `${command} --allow-principal ${quoted(principal)} ${argumentsOf(acl)}`),
  ])
}

function argumentsOf({ resource, operations, prefixed, names }: Acl): string {
  return [
    ...operations.map((operation) => `--operation ${operation}`),
    ...(prefixed ? ['--resource-pattern-type prefixed'] : []),
    ...names.map((name) => `--${resource} ${name}`),
  ].join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
