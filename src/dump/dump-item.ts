/** What a dump is made of, in its order. `line`: where it begins in the file; 0 where there is none. */
export type DumpItem =
  /** A line comment between statements. */
  | { readonly kind: 'comment'; readonly text: string; readonly line: number }
  /** A command of psql. */
  | { readonly kind: 'command'; readonly text: string; readonly line: number }
  /** A statement without its `;`. */
  | { readonly kind: 'statement'; readonly text: string; readonly line: number }
  /** A statement that brings its rows along: they follow, up to the end of the rows. */
  | { readonly kind: 'copy'; readonly text: string; readonly line: number }
  | { readonly kind: 'rows'; readonly bytes: Buffer }
  | { readonly kind: 'end of rows'; readonly rows: number; readonly line: number }
