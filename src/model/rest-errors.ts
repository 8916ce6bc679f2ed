import type { ErrorEntry } from './error-entry.ts'
import { EXIT } from './exit.ts'

/** The codes of sources that are read over a REST API: a part of the registry in `errors.ts`. */
export const REST_ERRORS = {
  incomplete_read: {
    cause: 'A source that is read page by page gave another number of rows than it had counted, or gave a row twice.',
    hint: 'Run it again; if it persists, something between here and the database cuts or repeats answers.',
    retry: 'later',
    exit: EXIT.failed,
  },
  unexpected_answer: {
    cause: 'What answers at the project URL does not speak as a REST API of PostgREST does.',
    hint: 'Check the project URL (https://PROJECT.supabase.co), and that no proxy answers in its place.',
    retry: 'after-fix',
    exit: EXIT.cannotConnect,
  },
  schema_not_exposed: {
    cause: 'The REST API does not offer the schema.',
    hint: 'Expose it (Supabase: Project Settings, Data API, Exposed schemas), or name those that are exposed as the schemas of the datasource.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  key_too_long: {
    cause: 'A value of a key is too long to be named in the URL of a REST API.',
    hint: 'Use the connection string of the database in place of the project URL.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  ambiguous_text: {
    cause: 'The settings of a role let the server write values in a form that does not say exactly what they are.',
    hint: 'Reset the setting that the message names for the role of the API, for example ALTER ROLE authenticator RESET intervalstyle;',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  rest_not_prepared: {
    cause:
      'A Supabase project is written over its REST API by functions of Syncline, and the project has none, or those of another version.',
    hint: 'Run what syncline datasources prepare prints in the SQL Editor of the project; or register the connection string of the database (Supabase: Connect, session pooler) and name that as the target.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  not_over_rest: {
    cause: 'A target that is written over its REST API cannot do this: each request is a transaction of its own.',
    hint: 'Change the setting that the message names, or register the connection string of the database (Supabase: Connect, session pooler) and name that as the target.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
} as const satisfies Record<string, ErrorEntry>
