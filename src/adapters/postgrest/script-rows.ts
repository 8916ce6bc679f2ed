import { canonicalSql, inForm, literal } from '#adapters/postgres/sql.ts'
import type { Form } from '#model/column-type.ts'

/** The functions that write rows of one table, and look at them: see `script.ts`. */

/** A function of the script, which takes one `request` and gives one answer, both JSON. */
export interface ScriptFunction {
  readonly name: string
  /** A call of one that only reads is a read-only transaction. */
  readonly reads: boolean
  readonly declare: string
  readonly body: string
}

const PLAIN_FORMS: readonly Form[] = ['own', 'text', 'float64', 'timestamp', 'integer']

/** The expression of a column in a form, by `each.name` and `each.form`: what `inForm` says, said by the server. */
const FORMED = `CASE each.form ${PLAIN_FORMS.map(
  (form) => `WHEN ${literal(form)} THEN pg_catalog.format(${literal(inForm('t.%1$I', form))}, each.name)`,
).join('\n      ')}
      ELSE pg_catalog.format(${literal(inForm('t.%1$I', 'decimal'))}, each.name) END`

/** The columns of `request`, as they are in the table `relid`: their types, and where the operator is that compares them. */
const COLUMNS = `SELECT c.n - 1 AS place, c.value->>'name' AS name, c.value->>'form' AS form,
      coalesce((c.value->>'written')::bool, false) AS written, pg_catalog.format_type(a.atttypid, -1) AS type,
      coalesce((SELECT n.nspname FROM pg_catalog.pg_opclass oc
        JOIN pg_catalog.pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
        JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
          AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
        JOIN pg_catalog.pg_operator op ON op.oid = ao.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = op.oprnamespace
        WHERE oc.opcintype = a.atttypid AND oc.opcdefault LIMIT 1), 'pg_catalog') AS operators
    FROM json_array_elements(request->'columns') WITH ORDINALITY c(value, n)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = relid AND a.attname = (c.value->>'name') AND a.attnum > 0
      AND NOT a.attisdropped
    ORDER BY c.n`

/** Foreign keys to the table that act by themselves: the same question as in `postgres/cascades.ts`. */
const REFERENCES = `SELECT n.nspname AS child_schema, c.relname AS child, f.confdeltype AS action, f.conrelid = f.confrelid AS own,
      (SELECT string_agg(pg_catalog.format('t.%I OPERATOR(%I.%s) r.%I', p.attname, s.nspname, o.oprname, a.attname), ' AND ' ORDER BY k.n)
       FROM ROWS FROM (unnest(f.confkey), unnest(f.conkey), unnest(f.conpfeqop)) WITH ORDINALITY AS k(parent, child, op, n)
       JOIN pg_catalog.pg_attribute p ON p.attrelid = f.confrelid AND p.attnum = k.parent
       JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.child
       JOIN pg_catalog.pg_operator o ON o.oid = k.op JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace) AS same
    FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE f.contype = 'f' AND f.confrelid = relid AND f.confdeltype IN ('c', 'n', 'd') AND f.conparentid = 0
      AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')`

/**
 * Writes the rows of one part of a batch: DELETE and UPDATE where the row still has the fingerprint that the change was
 * decided on, INSERT where there is no such key (invariant 9). Rows are arrays: operation, fingerprint, and the text of each
 * column. Gives the places of what was deleted and updated, the keys of what was inserted, and whether that is all.
 */
export const WRITE_PART: ScriptFunction = {
  name: 'write_part',
  reads: false,
  declare: `relid oid; relation text := pg_catalog.format('%I.%I', request->>'schema', request->>'table');
  target text; staged jsonb := (request->'rows')::jsonb; key_length int := (request->>'key')::int;
  each record; expression text; casts text := ''; canonical text := ''; matches text := ''; keys text := '';
  sets text := ''; names text := ''; cells text := ''; key_names text := ''; goes text := ''; stage text; hit bool; guard text;
  gone int8[] := '{}'; updated int8[] := '{}'; inserted json := '[]'; wanted int8; written int8 := 0`,
  body: `relid := pg_catalog.to_regclass(relation);
  target := CASE WHEN (SELECT c.relkind = 'p' FROM pg_catalog.pg_class c WHERE c.oid = relid) THEN relation ELSE 'ONLY ' || relation END;
  FOR each IN ${COLUMNS} LOOP
    casts := casts || pg_catalog.format(', (r.v->>%s)::%s AS c%s', each.place + 2, each.type, each.place);
    expression := ${FORMED};
    canonical := canonical || CASE WHEN canonical = '' THEN '' ELSE ' || ' END
      || pg_catalog.format(${literal(canonicalSql(['%1$s'], true))}, expression);
    IF each.place < key_length THEN
      matches := matches || CASE WHEN matches = '' THEN '' ELSE ' AND ' END
        || pg_catalog.format('t.%I OPERATOR(%I.=) s.c%s', each.name, each.operators, each.place);
      keys := keys || CASE WHEN keys = '' THEN '' ELSE ', ' END || pg_catalog.format('pg_catalog.concat(%s)', expression);
      key_names := key_names || CASE WHEN key_names = '' THEN '' ELSE ', ' END || pg_catalog.quote_ident(each.name);
      goes := goes || CASE WHEN goes = '' THEN '' ELSE ' AND ' END
        || pg_catalog.format('r.%I::text = o.c%s::text', each.name, each.place);
    ELSIF each.written THEN
      sets := sets || CASE WHEN sets = '' THEN '' ELSE ', ' END || pg_catalog.format('%I = s.c%s', each.name, each.place);
    END IF;
    IF each.written THEN
      names := names || CASE WHEN names = '' THEN '' ELSE ', ' END || pg_catalog.quote_ident(each.name);
      cells := cells || CASE WHEN cells = '' THEN '' ELSE ', ' END || pg_catalog.format('s.c%s', each.place);
    END IF;
  END LOOP;
  stage := 'WITH s AS MATERIALIZED (SELECT r.seq - 1 AS seq, (r.v->>1)::int8 AS expect' || casts
    || ' FROM jsonb_array_elements($1) WITH ORDINALITY r(v, seq) WHERE r.v->>0 = $2)';
  guard := matches || ' AND (''x'' || pg_catalog.left(pg_catalog.md5(' || canonical || '), 16))::bit(64)::int8 = s.expect';
  wanted := pg_catalog.jsonb_array_length(staged);
  IF staged @? '$[*] ? (@[0] == "d")' THEN
    FOR each IN ${REFERENCES} LOOP
      EXECUTE stage || pg_catalog.format(' SELECT EXISTS (SELECT FROM s JOIN %s t ON %s WHERE EXISTS (SELECT FROM %I.%I r WHERE %s %s))',
        target, matches, each.child_schema, each.child, each.same,
        CASE WHEN each.own THEN 'AND NOT EXISTS (SELECT FROM s o WHERE ' || goes || ')' ELSE '' END)
      INTO hit USING staged, 'd';
      IF hit THEN
        RAISE EXCEPTION USING ERRCODE = '23503', MESSAGE = pg_catalog.format('rows of %s.%s point to it, and %s',
          each.child_schema, each.child, CASE each.action WHEN 'c' THEN 'would be deleted with it (ON DELETE CASCADE)'
            WHEN 'n' THEN 'would lose what points to it (ON DELETE SET NULL)' ELSE 'would point elsewhere (ON DELETE SET DEFAULT)' END);
      END IF;
    END LOOP;
    EXECUTE stage || pg_catalog.format(', d AS (DELETE FROM %s t USING s WHERE %s RETURNING s.seq)', target, guard)
      || ' SELECT coalesce(array_agg(d.seq), ''{}''::int8[]) FROM d' INTO gone USING staged, 'd';
  END IF;
  IF staged @? '$[*] ? (@[0] == "u")' THEN
    -- A table that is all key has nothing to set; the row is in step by its key alone.
    IF sets = '' THEN sets := pg_catalog.format('%I = s.c0', request->'columns'->0->>'name'); END IF;
    EXECUTE stage || pg_catalog.format(', u AS (UPDATE %s t SET %s FROM s WHERE %s RETURNING s.seq)', target, sets, guard)
      || ' SELECT coalesce(array_agg(u.seq), ''{}''::int8[]) FROM u' INTO updated USING staged, 'u';
  END IF;
  IF staged @? '$[*] ? (@[0] == "i")' THEN
    EXECUTE stage || pg_catalog.format(', i AS (INSERT INTO %s AS t (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM s %s ORDER BY s.seq %s RETURNING json_build_array(%s) AS key)',
        relation, names, cells,
        CASE WHEN (request->>'unique')::bool THEN '' ELSE pg_catalog.format('WHERE NOT EXISTS (SELECT FROM %s t WHERE %s)', target, matches) END,
        CASE WHEN (request->>'unique')::bool THEN pg_catalog.format('ON CONFLICT (%s) DO NOTHING', key_names) ELSE '' END, keys)
      || ' SELECT coalesce(json_agg(i.key), $$[]$$), count(*) FROM i' INTO inserted, written USING staged, 'i';
  END IF;
  RETURN json_build_object('deleted', gone, 'updated', updated, 'inserted', inserted,
    'whole', pg_catalog.cardinality(gone) + pg_catalog.cardinality(updated) + written = wanted);`,
}

/** Which of some keys' rows have a present version that a batch of the job made: by the xmin that both have. */
export const WRITTEN: ScriptFunction = {
  name: 'syncline_written',
  reads: true,
  declare: `relid oid; relation text := pg_catalog.format('%I.%I', request->>'schema', request->>'table'); each record;
  casts text := ''; matches text := ''; answer json`,
  body: `relid := pg_catalog.to_regclass(relation);
  FOR each IN ${COLUMNS} LOOP
    casts := casts || pg_catalog.format(', (r.v->>%s)::%s AS c%s', each.place, each.type, each.place);
    matches := matches || CASE WHEN matches = '' THEN '' ELSE ' AND ' END
      || pg_catalog.format('t.%I OPERATOR(%I.=) s.c%s', each.name, each.operators, each.place);
  END LOOP;
  EXECUTE pg_catalog.format('SELECT coalesce(json_agg(s.seq), $$[]$$) FROM (SELECT r.seq - 1 AS seq %s
      FROM jsonb_array_elements($1) WITH ORDINALITY r(v, seq)) s JOIN %s t ON %s
    WHERE t.xmin::text IN (SELECT b.xmin::text FROM syncline.batch b WHERE b.mapping_id = $2 AND b.job_id = $3)',
    casts, relation, matches) INTO answer USING (request->'keys')::jsonb, request->>'mapping', request->>'job';
  RETURN answer;`,
}
