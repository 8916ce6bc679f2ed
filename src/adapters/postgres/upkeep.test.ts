import { describe, expect, test } from 'vitest'

import { upkeepOf, type KeptColumn, type RowTrigger } from './upkeep.ts'

const AT: KeptColumn = { name: 'updated_at', zoned: true, default: null, identity: null }
const LOCAL: KeptColumn = { ...AT, zoned: false }
const NUMBER: KeptColumn = { ...AT, name: 'v', zoned: null }

function trigger(body: string, changes: Partial<RowTrigger> = {}): RowTrigger {
  const events = { insert: true, update: true, when: null, ofColumns: false, inReplication: false }
  return { name: 'touch', ...events, language: 'plpgsql', body, args: [], ...changes }
}

const onUpdate = (column: KeptColumn, ...triggers: RowTrigger[]) => upkeepOf(column, triggers).onUpdate

describe('a default', () => {
  test.each([
    ['now()', true, 'clock'],
    ['CURRENT_TIMESTAMP', true, 'clock'],
    ['clock_timestamp()', true, 'clock'],
    ['now()', false, 'local clock'],
    ['LOCALTIMESTAMP', false, 'local clock'],
    [`(now() AT TIME ZONE 'utc'::text)`, false, 'clock'],
    [`timezone('utc'::text, now())`, false, 'clock'],
    [`(now() AT TIME ZONE 'Europe/Oslo'::text)`, false, 'local clock'],
    // What has lost its zone is taken for one of the session's.
    [`(now() AT TIME ZONE 'utc'::text)`, true, 'local clock'],
    ['CURRENT_DATE', false, 'local clock'],
  ])('%s (with a zone: %s) is %s', (text, zoned, value) => {
    const { onInsert, onUpdate: none } = upkeepOf({ ...AT, zoned, default: text }, [])
    expect(onInsert).toMatchObject({ value, when: 'omitted' })
    expect(none).toBeNull()
  })

  test('a constant, or a time that stands still, is nobody’s upkeep', () => {
    for (const text of ["'2020-01-01'::timestamptz", "(now() + '1 day'::interval)", 'my_time()']) {
      expect(upkeepOf({ ...AT, default: text }, []).onInsert, text).toBeNull()
    }
    expect(upkeepOf({ ...NUMBER, default: '0' }, []).onInsert).toBeNull()
  })

  test('a sequence is named as the server names it', () => {
    const kept = { ...NUMBER, default: `nextval('shop."Order''s_seq"'::regclass)` }
    expect(upkeepOf(kept, []).onInsert).toMatchObject({ value: 'sequence', sequence: `shop."Order's_seq"` })
    expect(upkeepOf({ ...NUMBER, identity: 'public.v_seq' }, []).onInsert).toMatchObject({ sequence: 'public.v_seq' })
    expect(upkeepOf({ ...NUMBER, default: 'pg_current_xact_id()' }, []).onInsert?.value).toBe('transaction')
  })
})

describe('a trigger', () => {
  test.each([
    'BEGIN NEW.updated_at = now(); RETURN NEW; END;',
    '\nBEGIN\n  -- the time\n  new."updated_at" := pg_catalog.now();\n  RETURN new;\nEND\n',
    'DECLARE _new record; BEGIN _new := NEW; _new."updated_at" = NOW(); RETURN _new; END;',
    'BEGIN /* now */ NEW.a := 1; NEW.updated_at := CURRENT_TIMESTAMP(3); RETURN NEW; END',
  ])('that assigns the time, one statement after the other, sets it always: %s', (body) => {
    expect(onUpdate(AT, trigger(body))).toEqual({
      value: 'clock',
      when: 'always',
      by: 'trigger "touch"',
      inReplication: false,
      sequence: null,
    })
    expect(onUpdate(LOCAL, trigger(body))?.value).toBe('local clock')
  })

  test.each([
    'BEGIN IF NEW.a <> OLD.a THEN NEW.updated_at := now(); END IF; RETURN NEW; END',
    'BEGIN NEW.updated_at := now(); RETURN NEW; EXCEPTION WHEN others THEN RETURN OLD; END',
    'BEGIN SELECT now() INTO NEW.updated_at; RETURN NEW; END',
    'BEGIN NEW := jsonb_populate_record(NEW, my_changes()); RETURN NEW; END',
  ])('of whose function more is to be understood may set it: %s', (body) => {
    expect(onUpdate(AT, trigger(body))).toMatchObject({ value: 'other', when: 'perhaps' })
  })

  test('that does something else leaves it alone', () => {
    for (const body of [
      'BEGIN NEW.a := now(); RETURN NEW; END',
      'BEGIN PERFORM notify(OLD.updated_at); RETURN NEW; END',
    ]) {
      expect(onUpdate(AT, trigger(body)), body).toBeNull()
    }
    expect(onUpdate(AT, trigger('suppress', { language: 'internal' }))).toBeNull()
    // Assigned to a copy that is not returned.
    expect(onUpdate(AT, trigger('BEGIN x := NEW; x.updated_at := now(); RETURN NEW; END'))).toBeNull()
  })

  test('the events, its condition and its columns narrow it', () => {
    const body = 'BEGIN NEW.updated_at := now(); RETURN NEW; END'
    expect(upkeepOf(AT, [trigger(body, { insert: false })]).onInsert).toBeNull()
    expect(onUpdate(AT, trigger(body, { ofColumns: true }))?.when).toBe('perhaps')
    expect(onUpdate(AT, trigger(body, { when: '(new.a > 1)' }))?.when).toBe('perhaps')
    expect(onUpdate(AT, trigger(body, { when: '(old.* IS DISTINCT FROM new.*)' }))?.when).toBe('changed')
    expect(onUpdate(AT, trigger(body, { inReplication: true }))?.inReplication).toBe(true)
  })

  test('the last one by name has its say, over a default too', () => {
    const time = trigger('BEGIN NEW.updated_at := now(); RETURN NEW; END', { name: 'b' })
    const other = trigger('BEGIN NEW.updated_at := OLD.updated_at; RETURN NEW; END', { name: 'a' })
    expect(onUpdate(AT, time, other)).toMatchObject({ by: 'trigger "b"', value: 'clock' })
    expect(onUpdate(AT, { ...time, name: 'A' }, other)).toMatchObject({ by: 'trigger "a"', value: 'other' })
    expect(upkeepOf({ ...AT, default: 'now()' }, [time]).onInsert?.when).toBe('always')
  })

  test('a number of a sequence and of the transaction is told from one that each row counts by itself', () => {
    const value = (text: string) => onUpdate(NUMBER, trigger(`BEGIN NEW.v := ${text}; RETURN NEW; END`))?.value
    expect(value(`nextval('public.v_seq')`)).toBe('sequence')
    expect(value('pg_current_xact_id()::text::bigint')).toBe('transaction')
    expect(value('OLD.v + 1')).toBe('row counter')
    expect(value('coalesce(OLD.v, 0) + 1')).toBe('row counter')
    expect(value('my_version()')).toBe('other')
  })

  test('of the extension moddatetime takes the time of the transaction', () => {
    const module = trigger('moddatetime', { language: 'c', insert: false, args: ['updated_at'] })
    expect(onUpdate(AT, module)).toMatchObject({ value: 'clock', when: 'always' })
    expect(onUpdate(LOCAL, module)?.value).toBe('local clock')
    expect(onUpdate(NUMBER, module)).toBeNull()
  })

  test('of another language cannot be read', () => {
    const python = trigger('TD["new"]["updated_at"] = time()', { language: 'plpython3u' })
    expect(onUpdate(AT, python)?.when).toBe('perhaps')
    expect(onUpdate(NUMBER, python)).toBeNull()
  })
})
