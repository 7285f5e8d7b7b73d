import type { AddCommand } from '../context.ts'
import { addAuditExportCommand } from './audit-export.ts'

export const addAuditCommand: AddCommand = (program, run) => {
  const audit = program.command('audit').description('the log of every decision, attempt and outcome')
  addAuditExportCommand(audit, run)
}
