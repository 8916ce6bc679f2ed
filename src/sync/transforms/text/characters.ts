/** Characters are code points, as PostgreSQL counts them. */

/** How many characters a text has. */
export function charactersOf(text: string): number {
  let count = text.length
  for (let i = 0; i < text.length - 1; i += 1) {
    if (isHigh(text.charCodeAt(i)) && isLow(text.charCodeAt(i + 1))) {
      count -= 1
      i += 1
    }
  }
  return count
}

/** The index in UTF-16 units at which so many characters have passed, or the end. */
export function indexAfter(text: string, characters: number): number {
  if (text.length <= characters) return text.length
  let index = 0
  for (let left = characters; left > 0 && index < text.length; left -= 1) {
    index += isHigh(text.charCodeAt(index)) && isLow(text.charCodeAt(index + 1)) ? 2 : 1
  }
  return index
}

/** The longest beginning of a text that has at most so many bytes in UTF-8, cut between characters. */
export function beginningOfBytes(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text
  let index = 0
  let used = 0
  while (index < text.length) {
    const unit = text.charCodeAt(index)
    const pair = isHigh(unit) && isLow(text.charCodeAt(index + 1))
    used += unit < 0x80 ? 1 : unit < 0x800 ? 2 : pair ? 4 : 3
    if (used > bytes) break
    index += pair ? 2 : 1
  }
  return index === text.length ? text : text.slice(0, index)
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff
}
