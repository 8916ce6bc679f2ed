import { expect, test } from 'vitest'
import { parse } from 'yaml'

import { ConfigPolicies } from '#model/config-document.ts'
import { EXIT } from '#model/errors.ts'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

test('S0.50, S3.31: suggestions and advice by command and by API, as YAML that the config takes, and nothing is applied by itself', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(`CREATE TABLE kunden (kundennummer int PRIMARY KEY, vorname text, nachname text, e_mail text);
    INSERT INTO kunden SELECT i, 'V' || i, 'N' || i, 'MAIL' || i || '@EXAMPLE.ORG' FROM generate_series(1, 50) i`)
  await target.sql(`CREATE TABLE customers (id int PRIMARY KEY, full_name text, email text, region text);
    INSERT INTO customers SELECT i, 'V' || i || ' N' || i, 'mail' || i || '@example.org', 'EU' FROM generate_series(1, 50) i`)
  await using service = await new ServeUnderTest().start()
  await service.ask('POST', '/api/v1/datasources', { name: 'erp', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'crm', url: target.url, writable: true })
  const config = { name: 'erp to crm', source_datasource_id: 'erp', target_datasource_id: 'crm' }
  const made = await service.ask('POST', '/api/v1/sync-configs', {
    ...config,
    tables: [{ source: 'kunden', target: 'customers' }],
  })

  const shown = await service.cli(['configs', 'suggest', 'erp to crm'])
  expect(shown, shown.stderr).toMatchObject({ code: EXIT.done })
  expect(shown.stdout).toMatch(/^kunden → customers .*50 matched rows/m)
  expect(shown.stdout).toMatch(/^vorname \+ nachname +full_name +0\.\d\d +concat/m)
  expect(shown.stdout).toMatch(/^4 fields suggested for 1 table$/m)

  const yaml = await service.cli(['configs', 'suggest', 'erp to crm', '--table', 'kunden', '--yaml', '--quiet'])
  const tables: unknown = parse(yaml.stdout)
  expect(ConfigPolicies.parse(tables)).toEqual({
    tables: [
      {
        source: 'kunden',
        target: 'customers',
        field_mappings: [
          { target: 'id', column: 'kundennummer' },
          { target: 'full_name', columns: ['vorname', 'nachname'], transforms: [{ concat: { separator: ' ' } }] },
          { target: 'email', column: 'e_mail', transforms: ['lower'] },
          { target: 'region', constant: 'EU' },
        ],
      },
    ],
  })

  const json = await service.cli(['configs', 'suggest', 'erp to crm', '--json'])
  const draft = await service.ask('POST', '/api/v1/sync-configs/suggest', {
    master_datasource_id: 'erp',
    slave_datasource_id: 'crm',
  })
  // Without a word on the tables they are found as well.
  expect(draft).toMatchObject({ tables: [{ source: 'kunden', target: 'customers' }], unmatched: [] })
  expect(JSON.parse(json.stdout)).toMatchObject({
    result: { tables: [{ fields: (draft['tables'] as { fields: unknown }[])[0]?.fields }] },
  })

  const after = await service.ask('GET', '/api/v1/sync-configs/erp%20to%20crm')
  expect(after).toEqual(made)
  const path = `/api/v1/sync-configs/${String(made['id'])}/suggest`
  const missing = await service.call('POST', path, { tables: ['nothing'] })
  expect(missing).toMatchObject({ status: 422, body: { code: 'table_not_found' } })

  // How changes can be found is advised as well, before there is a config and for one.
  await source.sql(`ALTER TABLE kunden ADD geaendert timestamptz;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.geaendert := now(); RETURN NEW; END';
    CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON kunden FOR EACH ROW EXECUTE FUNCTION touch()`)
  const advised = await service.cli(['configs', 'advise', 'erp to crm', '--all'])
  expect(advised, advised.stderr).toMatchObject({ code: EXIT.done })
  expect(advised.stdout).toMatch(/^kunden {2}\(now hash\)\n {2}1\. hash: exact$/m)
  expect(advised.stdout).toMatch(/^ {2}not timestamp by geaendert: None of 50 rows has a value\.$/m)
  const tried = await service.cli(['datasources', 'advise', 'erp', '--table', 'kunden', '--yaml', '--quiet'])
  expect(ConfigPolicies.parse(parse(tried.stdout))).toEqual({
    tables: [{ source: 'kunden', detection_strategy: 'hash' }],
  })
  await source.sql('UPDATE kunden SET vorname = vorname')
  const advice = await service.ask('POST', '/api/v1/datasources/erp/advise', {})
  expect(advice).toMatchObject({
    tables: [
      {
        source: 'kunden',
        current: null,
        proposals: [
          { strategy: 'hash', label: 'exact' },
          { strategy: 'timestamp', cursor_column: 'geaendert', label: 'exact', needs: [{ required: false }] },
          { strategy: 'primary_key', label: 'best effort' },
          { strategy: 'full' },
          { strategy: 'content' },
        ],
      },
    ],
    left_out: [],
  })
  const lost = await service.call('POST', '/api/v1/datasources/erp/advise', { tables: ['nothing'] })
  expect(lost).toMatchObject({ status: 422, body: { code: 'table_not_found' } })
})
