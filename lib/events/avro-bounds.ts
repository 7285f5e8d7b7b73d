import type { Type } from 'avsc'

/** Position after a value of the type that begins at `pos`. Throws a RangeError where the bytes cannot hold one. */
export type Skip = (bytes: Buffer, pos: number) => number

/**
 * A walk over a value's bytes that checks lengths and the range of numbers. Why, when avsc decodes? avsc looks at the buffer's end after it
 * has read: an array that claims 2^40 items, or a block with a negative size, keeps it busy until memory is gone, and a
 * dozen bytes would kill each process that reads them. After this walk a decode is bounded by the length of its bytes.
 * Nor does it look whether an int fits 32 bits, so that what it reads may be more than it can write.
 *
 * Blocks of items that take no bytes (null, records without fields) may not outnumber the bytes that are left.
 */
export function boundsOf(type: Type): Skip {
  return compile(type, new Map())
}

/**
 * Reads the string or enum field of a record, and skips what stands before it. undefined where the record has no such field.
 * What it gives throws a RangeError where the bytes cannot hold one.
 */
export function stringFieldReader(record: Type, name: string): ((bytes: Buffer, pos: number) => string) | undefined {
  const { fields = [] } = record as TypeShape
  const index = fields.findIndex((field) => field.name === name)
  const { typeName, symbols = [] } = (fields[index]?.type ?? {}) as Partial<TypeShape>
  if (typeName !== 'string' && typeName !== 'enum') return undefined
  const skips = fields.slice(0, index).map((field) => boundsOf(field.type))
  return (bytes, pos) => {
    for (const skip of skips) pos = skip(bytes, pos)
    if (typeName === 'string') return bytes.toString('utf8', skipLong(bytes, pos), skipBytes(bytes, pos))
    const symbol = symbols[readLong(bytes, pos)]
    if (symbol === undefined) throw new RangeError('an enum names no symbol')
    return symbol
  }
}

interface TypeShape {
  typeName: string
  fields?: { name: string; type: Type }[]
  itemsType?: Type
  valuesType?: Type
  types?: Type[]
  size?: number
  underlyingType?: Type
  symbols?: string[]
}

function compile(type: Type, known: Map<Type, { skip: Skip }>): Skip {
  const earlier = known.get(type)
  // A recursive type is not compiled yet where it is named, hence the indirection.
  if (earlier) return (bytes, pos) => earlier.skip(bytes, pos)
  const entry: { skip: Skip } = { skip: skipLong }
  known.set(type, entry)
  entry.skip = compileNew(type, (inner) => compile(inner, known))
  return entry.skip
}

function compileNew(type: TypeShape, inner: (type: Type) => Skip): Skip {
  switch (type.typeName) {
    case 'null':
      return (_bytes, pos) => pos
    case 'boolean':
      return fixed(1)
    case 'int':
      return within(-(2 ** 31), 2 ** 31 - 1, 'an int takes more than 32 bits')
    case 'long':
      return within(-maxExactLong, maxExactLong, 'a long lies beyond 2^52')
    case 'enum':
      return skipLong
    case 'float':
      return fixed(4)
    case 'double':
      return fixed(8)
    case 'fixed':
      return fixed(type.size!)
    case 'bytes':
    case 'string':
      return skipBytes
    case 'array':
      return blocks(inner(type.itemsType!))
    case 'map': {
      const value = inner(type.valuesType!)
      return blocks((bytes, pos) => value(bytes, skipBytes(bytes, pos)))
    }
    case 'record':
    case 'error': {
      const fields = type.fields!.map((field) => inner(field.type))
      return (bytes, pos) => {
        for (const field of fields) pos = field(bytes, pos)
        return pos
      }
    }
    case 'union:unwrapped':
    case 'union:wrapped': {
      const branches = type.types!.map(inner)
      return (bytes, pos) => {
        const index = readLong(bytes, pos)
        const branch = branches[index]
        if (!branch) throw new RangeError(`union branch ${index} does not exist`)
        return branch(bytes, skipLong(bytes, pos))
      }
    }
    default:
      if (type.underlyingType) return inner(type.underlyingType)
      throw new RangeError(`Avro type ${type.typeName} is not supported`)
  }
}

const truncated = (): RangeError => new RangeError('the bytes end in the middle of a value')

function fixed(size: number): Skip {
  return (bytes, pos) => {
    if (pos + size > bytes.length) throw truncated()
    return pos + size
  }
}

/** Longest zig-zag varint of a 64-bit value. */
const maxLongBytes = 10

const skipLong: Skip = (bytes, pos) => {
  const limit = Math.min(bytes.length, pos + maxLongBytes)
  while (pos < limit) if (bytes[pos++]! < 0x80) return pos
  throw limit === bytes.length ? truncated() : new RangeError('an integer takes more than 64 bits')
}

/** avsc doubles a long in float arithmetic: beyond this it loses a bit, and with it the sign. */
export const maxExactLong = 2 ** 52

function within(min: number, max: number, problem: string): Skip {
  return (bytes, pos) => {
    const end = skipLong(bytes, pos)
    if (end - pos >= 5) {
      const value = readLong(bytes, pos)
      if (value < min || value > max) throw new RangeError(problem)
    }
    return end
  }
}

/**
 * The value at `pos`. Beyond 2^52 it is inexact and may lose its sign, but not its size: it is out of every bound here.
 */
function readLong(bytes: Buffer, pos: number): number {
  let value = 0
  let factor = 1
  for (const end = skipLong(bytes, pos); pos < end; pos++, factor *= 128) value += (bytes[pos]! & 0x7f) * factor
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

const skipBytes: Skip = (bytes, pos) => {
  const length = readLong(bytes, pos)
  pos = skipLong(bytes, pos)
  if (length < 0) throw new RangeError('a string or bytes value has a negative length')
  if (length > bytes.length - pos) throw truncated()
  return pos + length
}

function blocks(item: Skip): Skip {
  return (bytes, pos) => {
    for (;;) {
      let count = readLong(bytes, pos)
      pos = skipLong(bytes, pos)
      if (count === 0) return pos
      let end: number | undefined
      if (count < 0) {
        count = -count
        const size = readLong(bytes, pos)
        pos = skipLong(bytes, pos)
        if (size < 0 || size > bytes.length - pos) throw new RangeError('a block has a size that its bytes do not hold')
        end = pos + size
      }
      if (count > bytes.length - pos) throw new RangeError('a block claims more items than there are bytes')
      for (let i = 0; i < count; i++) pos = item(bytes, pos)
      if (end !== undefined && end !== pos) throw new RangeError('a block is not as long as it says')
    }
  }
}
