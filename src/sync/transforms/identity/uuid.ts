/** UUIDs in their spellings. */
/** The canonical text of a UUID in any usual spelling: capitals, braces, urn:uuid:, without dashes. Null where it is none. */
export function readUuid(value: string): string | null {
  const bare = value
    .trim()
    .replace(/^urn:uuid:/i, '')
    .replace(/^\{(.*)\}$/, '$1')
  const digits = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i.test(bare)
    ? bare.replaceAll('-', '')
    : bare
  return /^[\da-f]{32}$/i.test(digits) ? dashed(digits.toLowerCase()) : null
}

/** 32 digits with their dashes. */
export function dashed(digits: string): string {
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`
}
