import type { ErrorEntry } from './error-entry.ts'
import { EXIT } from './exit.ts'

/** The part of the registry that is about tables, what is read from them, and what becomes of their rows. */
export const MAPPING_ERRORS = {
  table_not_found: {
    cause: 'A named table does not exist, or this login may not see it.',
    hint: 'Check the spelling (names are case-sensitive as stored); --create makes missing tables on the target.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  invalid_expression: {
    cause: 'An expression or a filter cannot be read, or its types do not fit.',
    hint: 'The message names line and column; docs/expressions.md lists the functions, each with an example.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  invalid_rule: {
    cause: 'A data rule is unknown, or asks for something that cannot be asked.',
    hint: 'docs/rules.md lists the rules, each with an example.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  rule_broken: {
    cause: 'A row breaks a rule that is to stop the run.',
    hint: 'Mend the row in the source, or let the rule set such rows aside with on_fail: reject.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  invalid_transform: {
    cause: 'The arguments of a transform are not what it takes.',
    hint: 'docs/transforms.md says what each transform takes, with an example.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  lookup_too_large: {
    cause: 'A table that values are looked up in does not fit into the memory that is set aside for it.',
    hint: 'Let the source join it instead: a query may stand for the table.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  mask_key_missing: {
    cause: 'A transform masks or tokenises values by a key, and no key is set.',
    hint: 'Set MASK_KEY to 32 random bytes in base64 (openssl rand -base64 32), and keep it: another key gives other masks.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  invalid_query: {
    cause: 'A query that stands for a table is not one statement that the source can read from.',
    hint: 'Write one SELECT without a semicolon, try it in the source with the same login, and give each column a name.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  column_not_found: {
    cause: 'A named or mapped column does not exist.',
    hint: 'Check the spelling, rename it with --rename, or leave it out with --exclude.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  no_key: {
    cause: 'The table has no primary key and no unique index over columns that are never NULL.',
    hint: 'Declare columns that identify a row with --key TABLE=COLUMN,COLUMN.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  key_not_unique: {
    cause: 'The key has NULLs or duplicates, so a row cannot be told from another.',
    hint: 'Mend the rows, or declare another key with --key.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  values_merged: {
    cause:
      'A unique index of the target takes values of several rows of the source for one, because of how it compares texts: `a` and `A`, accents, spaces at the end. Nothing was written.',
    hint: 'Give the column of the target a collation that tells them apart (utf8mb4_nopad_bin in MariaDB, utf8mb4_0900_bin in MySQL), or leave rows out with a filter.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  impossible_mapping: {
    cause: 'A source column cannot be carried into its target column without losing or inventing values.',
    hint: 'Change the target column, or leave the column out with --exclude.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  schema_differs: {
    cause:
      'The target lacks columns that the source has, and they may not be added or cannot be: the schema policy is strict, a type is missing, or the login does not own the table. Nothing was written.',
    hint: 'Run the statement that the message shows, as the owner of the table; or leave the column out with --exclude.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  column_renamed: {
    cause:
      'A column of the source has another name than at the last run, and the target still has the old one. A second column beside it would hold the values apart. Nothing was written.',
    hint: 'Rename the column in the target as the message shows, or leave it out with --exclude.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  schema_changed: {
    cause:
      'A table was altered while the run was under way, in a way that could change what its values mean. Nothing more was written to it; other tables went on.',
    hint: 'Look at what was altered, then run the same command again: it plans anew, and goes on from what was committed.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  too_many_rejections: {
    cause: 'More rows were refused by the target than the run may set aside.',
    hint: 'See the reasons that are listed; mend the rows or the target.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
} as const satisfies Record<string, ErrorEntry>
