/** What a spreadsheet takes for a formula (S19): also in its wide forms, and behind the apostrophe that we put before. */
const FORMULA = /^[=+\-@\t\r\n'＝＋－＠]/

/**
 * A cell of a CSV file. A value that could begin a formula gets an apostrophe before it; one that begins with an apostrophe
 * gets another, so that whoever reads the file takes one away and has the value. NULL is an empty cell, and an empty text
 * an empty pair of quotes.
 */
export function csvCell(value: string | null): string {
  if (value === null) return ''
  const safe = FORMULA.test(value) ? `'${value}` : value
  return safe === '' || /[",\r\n\t ]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
