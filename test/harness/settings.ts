/**
 * Settings of the shared servers that are lawful and unusual: what leans on a server's defaults instead of stating its
 * own fails here, and not at a user's.
 */
export const UNUSUAL_SETTINGS = {
  source: {
    timezone: 'America/New_York',
    datestyle: 'SQL, DMY',
    intervalstyle: 'sql_standard',
    bytea_output: 'escape',
    extra_float_digits: '0',
  },
  target: {
    timezone: 'Asia/Kolkata',
    datestyle: 'German, DMY',
    intervalstyle: 'iso_8601',
    bytea_output: 'hex',
    extra_float_digits: '-2',
  },
} as const
