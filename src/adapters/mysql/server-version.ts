/** Which server this is, by its own word. */
export interface ServerVersion {
  readonly mariadb: boolean
  readonly major: number
  readonly minor: number
  /** For people: `MariaDB 10.11.19`. */
  readonly product: string
}

/** Of the text of `VERSION()`. */
export function readVersion(text: string): ServerVersion {
  // Old servers of MariaDB put a version of MySQL in front of their own.
  const mariadb = /mariadb/i.test(text)
  const [, version = '', major = '0', minor = '0'] = /^(?:5\.5\.5-)?((\d+)\.(\d+)[\d.]*)/.exec(text) ?? []
  return {
    mariadb,
    major: Number(major),
    minor: Number(minor),
    product: `${mariadb ? 'MariaDB' : 'MySQL'} ${version}`,
  }
}
