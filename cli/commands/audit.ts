import type { AddCommand } from '../context.ts'
import { addAuditAnchorCommand } from './audit-anchor.ts'
import { addAuditExportCommand } from './audit-export.ts'
import { addAuditKeygenCommand } from './audit-keygen.ts'
import { addAuditVerifyCommand } from './audit-verify.ts'

export const addAuditCommand: AddCommand = (program, run) => {
  const audit = program.command('audit').description('the log of every decision, attempt and outcome')
  addAuditVerifyCommand(audit, run)
  addAuditAnchorCommand(audit, run)
  addAuditKeygenCommand(audit, run)
  addAuditExportCommand(audit, run)
}
