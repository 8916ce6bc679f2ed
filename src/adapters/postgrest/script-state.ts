import { DEFINITIONS } from '#adapters/postgres/definition.ts'
import type { ScriptFunction } from './script-rows.ts'

/** The functions that keep what a project knows of its syncs, in the schema of `postgres/state.ts`: see `script.ts`. */

const ROW = `json_build_object('mapping', s.mapping_id, 'job', s.job_id, 'epoch', s.epoch::text, 'phase', s.phase,
    'inserted', s.inserted, 'updated', s.updated, 'deleted', s.deleted, 'batches', s.batches, 'hash', s.mapping_hash,
    'detection', s.detection, 'columns', s.source_columns, 'source', s.source, 'schema', s.target_schema, 'table', s.target_table,
    'verified', extract(epoch FROM pg_catalog.now() - s.verified_at)::int8)`

/** What is known of mappings, of a job, or of a table by its source; the newest comes first. */
export const STATE: ScriptFunction = {
  name: 'syncline_state',
  reads: true,
  declare: '',
  body: `RETURN (SELECT coalesce(json_agg(${ROW} ORDER BY s.updated_at DESC), '[]') FROM syncline.state s
    WHERE s.mapping_id IN (SELECT json_array_elements_text(request->'mappings')) OR s.job_id = (request->>'job')
      OR s.source IN (SELECT json_array_elements_text(request->'sources')));`,
}

/**
 * Takes over mappings for a job, as `claimMappings` of `postgres/state.ts` does: the epoch moves in any case, and whoever
 * held the old one can commit no more (invariant 8).
 */
export const CLAIM: ScriptFunction = {
  name: 'syncline_claim',
  reads: false,
  declare: `mapping json; lease text := request->>'lease'; job text := request->>'job'; goes_on bool;
  ids text[] := ARRAY(SELECT m->>'mapping' FROM json_array_elements(request->'mappings') m)`,
  body: `PERFORM 1 FROM syncline.state s WHERE s.mapping_id = ANY (ids) ORDER BY s.mapping_id FOR UPDATE;
  IF lease IS NULL THEN
    job := coalesce((SELECT s.job_id FROM syncline.state s WHERE s.mapping_id = ANY (ids) AND s.phase <> 'done'
      ORDER BY s.mapping_id LIMIT 1), job);
  END IF;
  FOR mapping IN SELECT m FROM json_array_elements(request->'mappings') m ORDER BY m->>'mapping' LOOP
    goes_on := EXISTS (SELECT FROM syncline.state s WHERE s.mapping_id = (mapping->>'mapping') AND s.job_id = job
      AND (s.phase <> 'done' OR lease IS NOT NULL));
    IF NOT goes_on THEN DELETE FROM syncline.batch b WHERE b.mapping_id = (mapping->>'mapping'); END IF;
    INSERT INTO syncline.state AS s (mapping_id, job_id, epoch, phase, source, target_schema, target_table, mapping_hash,
      source_columns, carried)
    VALUES (mapping->>'mapping', job, 1, 'new', mapping->>'source', mapping->>'schema', mapping->>'table', mapping->>'hash',
      mapping->>'columns', mapping->>'carried')
    ON CONFLICT (mapping_id) DO UPDATE SET job_id = excluded.job_id, epoch = s.epoch + 1, updated_at = pg_catalog.now(),
      baseline_complete = false, baseline_details = '', mapping_hash = excluded.mapping_hash, carried = excluded.carried,
      detection = CASE WHEN s.mapping_hash = excluded.mapping_hash THEN s.detection END,
      source_columns = excluded.source_columns,
      phase = CASE WHEN NOT goes_on THEN 'new' WHEN s.phase = 'done' THEN 'applying' ELSE s.phase END,
      inserted = CASE WHEN goes_on THEN s.inserted ELSE 0 END, updated = CASE WHEN goes_on THEN s.updated ELSE 0 END,
      deleted = CASE WHEN goes_on THEN s.deleted ELSE 0 END, batches = CASE WHEN goes_on THEN s.batches ELSE 0 END;
  END LOOP;
  RETURN (SELECT json_agg(${ROW}) FROM syncline.state s WHERE s.mapping_id = ANY (ids));`,
}

export const ENTER: ScriptFunction = {
  name: 'syncline_enter',
  reads: false,
  declare: '',
  body: `UPDATE syncline.state s SET phase = request->>'phase',
    detection = CASE WHEN request->>'phase' = 'loading' THEN NULL ELSE s.detection END
  WHERE s.mapping_id = (request->>'mapping') AND s.epoch = (request->>'epoch')::int8 AND s.job_id = (request->>'job');
  RETURN json_build_object('entered', FOUND);`,
}

/**
 * One batch of one or several tables, whole or not at all. Its number says whether it has been written before: the same call
 * that comes again, late or because its answer was lost, finds its record and writes nothing (invariant 2). Where a row has
 * moved, everything is taken back, and what was hit is told.
 */
export const WRITE: ScriptFunction = {
  name: 'syncline_write',
  reads: false,
  declare: `part json; done int8; again int := 0; places int := json_array_length(request->'parts'); relid oid; definition text;
  answers json[] := '{}'; answer json; whole bool := true`,
  body: `FOR part IN SELECT p FROM json_array_elements(request->'parts') p LOOP
    SELECT s.batches INTO done FROM syncline.state s WHERE s.mapping_id = (part->>'mapping')
      AND s.epoch = (part->>'epoch')::int8 AND s.job_id = (part->>'job') FOR UPDATE;
    IF NOT FOUND THEN RETURN json_build_object('refused', 'stale epoch', 'mapping', part->>'mapping'); END IF;
    IF done >= (part->>'batch')::int8 THEN
      IF NOT EXISTS (SELECT FROM syncline.batch b WHERE b.mapping_id = (part->>'mapping') AND b.job_id = (part->>'job')
          AND b.batch = (part->>'batch')::int8 AND b.epoch = (part->>'epoch')::int8 AND b.label = (part->>'label')) THEN
        RETURN json_build_object('refused', 'another batch', 'mapping', part->>'mapping');
      END IF;
      again := again + 1;
    ELSIF done <> (part->>'batch')::int8 - 1 THEN
      RETURN json_build_object('refused', 'lost batches', 'mapping', part->>'mapping');
    END IF;
  END LOOP;
  IF again > 0 THEN RETURN json_build_object('done', true); END IF;
  FOR part IN SELECT p FROM json_array_elements(request->'parts') p LOOP
    relid := pg_catalog.to_regclass(pg_catalog.format('%I.%I', part->>'schema', part->>'table'));
    IF relid IS NOT NULL THEN
      EXECUTE pg_catalog.format('LOCK TABLE ONLY %I.%I IN %s MODE', part->>'schema', part->>'table',
        CASE WHEN (part->>'unique')::bool THEN 'ROW EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
      -- The lock keeps the table from being altered until the end; what was altered before it is seen here.
      EXECUTE 'SELECT q.digest || '' '' || q.storage FROM (' || $sql$${DEFINITIONS}$sql$ || ') q(schema, name, digest, storage)'
        INTO definition USING ARRAY[part->>'schema'], ARRAY[part->>'table'];
    END IF;
    IF relid IS NULL OR definition IS DISTINCT FROM (part->>'definition') THEN
      RETURN json_build_object('refused', 'another definition', 'schema', part->>'schema', 'table', part->>'table');
    END IF;
  END LOOP;
  BEGIN
    IF places > 1 THEN SET CONSTRAINTS ALL DEFERRED; END IF;
    FOR part IN SELECT p FROM json_array_elements(request->'parts') p LOOP
      answer := syncline.write_part(part);
      answers := answers || answer;
      whole := whole AND (answer->>'whole')::bool;
      INSERT INTO syncline.batch (mapping_id, job_id, batch, epoch, kind, label, inserted, updated, deleted)
      VALUES (part->>'mapping', part->>'job', (part->>'batch')::int8, (part->>'epoch')::int8, part->>'kind', part->>'label',
        (part->>'inserted')::int8, (part->>'updated')::int8, (part->>'deleted')::int8);
      UPDATE syncline.state s SET batches = (part->>'batch')::int8, inserted = s.inserted + (part->>'inserted')::int8,
        updated = s.updated + (part->>'updated')::int8, deleted = s.deleted + (part->>'deleted')::int8,
        updated_at = pg_catalog.now() WHERE s.mapping_id = (part->>'mapping');
    END LOOP;
    IF NOT whole THEN RAISE EXCEPTION 'a row has moved' USING ERRCODE = 'SL001'; END IF;
    -- What is deferred is looked at here, where the refusal of a row can still be told as one.
    SET CONSTRAINTS ALL IMMEDIATE;
  EXCEPTION WHEN SQLSTATE 'SL001' THEN
    RETURN json_build_object('moved', answers);
  END;
  RETURN json_build_object('done', true);`,
}

/** Closes a job for all its mappings, or for none of them. May be done again. */
export const CLOSE: ScriptFunction = {
  name: 'syncline_close',
  reads: false,
  declare: 'mapping json; ids text[]',
  body: `FOR mapping IN SELECT m FROM json_array_elements(request->'mappings') m ORDER BY m->>'mapping' LOOP
    PERFORM 1 FROM syncline.state s WHERE s.mapping_id = (mapping->>'mapping') AND s.epoch = (mapping->>'epoch')::int8
      AND s.job_id = (mapping->>'job') FOR UPDATE;
    IF NOT FOUND THEN RETURN json_build_object('refused', 'stale epoch', 'mapping', mapping->>'mapping'); END IF;
  END LOOP;
  FOR mapping IN SELECT m FROM json_array_elements(request->'mappings') m LOOP
    UPDATE syncline.state s SET phase = 'done', position = request->>'position', updated_at = pg_catalog.now(),
      verified_at = CASE WHEN (mapping->>'verified')::bool THEN pg_catalog.now() ELSE s.verified_at END,
      detection = CASE WHEN (mapping->>'detects')::bool THEN mapping->>'detection' ELSE s.detection END
    WHERE s.mapping_id = (mapping->>'mapping');
  END LOOP;
  ids := ARRAY(SELECT m->>'mapping' FROM json_array_elements(request->'mappings') m);
  RETURN (SELECT json_build_object('closed', coalesce(json_agg(${ROW}), '[]')) FROM syncline.state s WHERE s.mapping_id = ANY (ids));`,
}

/**
 * Advances the sequences that feed columns of a table, past what the source has given out, past what they have given out
 * themselves, and past the largest value in the column; as `postgres/sequences.ts` does. None ever goes back. One that the
 * role may not set is left, and named.
 */
export const ADVANCE: ScriptFunction = {
  name: 'syncline_advance',
  reads: false,
  declare: `each record; sequence record; own record; best int8; called bool; extreme int8; moved int := 0;
  left_alone text[] := '{}'`,
  body: `FOR each IN SELECT c->>'column' AS name, c->>'sequence' AS of, (c->>'last')::int8 AS last, coalesce((c->>'called')::bool, false) AS called
    FROM json_array_elements(request->'columns') c LOOP
    SELECT q.seqincrement, q.seqmin, q.seqmax INTO sequence FROM pg_catalog.pg_sequence q WHERE q.seqrelid = each.of::regclass;
    IF NOT pg_catalog.has_sequence_privilege(each.of, 'UPDATE') OR NOT pg_catalog.has_sequence_privilege(each.of, 'SELECT') THEN
      left_alone := left_alone || each.of;
      CONTINUE;
    END IF;
    EXECUTE 'SELECT last_value, is_called FROM ' || each.of::regclass INTO own;
    EXECUTE pg_catalog.format('SELECT %s(t.%I)::int8 FROM %I.%I t', CASE WHEN sequence.seqincrement > 0 THEN 'max' ELSE 'min' END,
      each.name, request->>'schema', request->>'table') INTO extreme;
    best := own.last_value;
    called := own.is_called;
    IF each.last IS NOT NULL AND (each.last - best) * sign(sequence.seqincrement) > 0 THEN best := each.last; called := each.called;
    ELSIF each.last = best THEN called := called OR each.called; END IF;
    IF extreme IS NOT NULL AND (extreme - best) * sign(sequence.seqincrement) > 0 THEN best := extreme; called := true;
    ELSIF extreme = best THEN called := true; END IF;
    CONTINUE WHEN best = own.last_value AND called = own.is_called;
    CONTINUE WHEN best < sequence.seqmin OR best > sequence.seqmax;
    PERFORM pg_catalog.setval(each.of::regclass, best, called);
    moved := moved + 1;
  END LOOP;
  RETURN json_build_object('moved', moved, 'left', left_alone);`,
}
