import { stringify } from 'yaml'

/** A file as `syncline apply` takes it, and the line that hands it over: what goes under version control, or is done at once. */
export function fileMeans(file: { readonly [noun in 'datasources' | 'sync_configs']?: readonly object[] }): {
  readonly cli: string
  readonly yaml: string
} {
  const yaml = stringify(file)
  return { cli: `syncline apply -f - <<'YAML'\n${yaml}YAML`, yaml }
}
