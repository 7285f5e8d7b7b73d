import { hashText } from './hash-text.ts'
import type { AuditPlace } from './recorded-step.ts'

/** Rows of one task come together by so many bytes of their key; the others keep a step's rows together. */
export const taskKeyBytes = 4
const keyBytes = 16

/** Tag, partition, offset; then the body. */
const headerBytes = 1 + 4 + 8

/** A key of the step join. Of equal hash are few tasks, and who reads a group tells them apart. */
export function taskKey({ taskId, stepId }: { taskId: string; stepId: string }): Buffer {
  const key = Buffer.alloc(keyBytes)
  key.writeUInt32BE(hashText(taskId), 0)
  key.writeUInt32BE(hashText(stepId), taskKeyBytes)
  return key
}

/** `tag` is one character: what the body is. */
export function taskRow(tag: string, { partition, offset }: AuditPlace, body: Buffer): Buffer {
  const row = Buffer.allocUnsafe(headerBytes + body.length)
  row.writeUInt8(tag.charCodeAt(0), 0)
  row.writeInt32LE(partition, 1)
  row.writeDoubleLE(offset, 5)
  body.copy(row, headerBytes)
  return row
}

export function readRow(row: Buffer): { tag: string; place: AuditPlace; body: Buffer } {
  return {
    tag: String.fromCharCode(row.readUInt8(0)),
    place: { partition: row.readInt32LE(1), offset: row.readDoubleLE(5) },
    body: row.subarray(headerBytes),
  }
}
