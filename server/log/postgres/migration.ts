/**
 * What the log needs in the database: tables and functions. It runs on demand, or by an operator's hand. Long, because it
 * is one text in another language. The functions carry a number: nodes of two versions can work side by side.
 *
 * - `state`: one row for each namespace: its epoch, its floor, and by what the engine is known.
 * - `log`: the entries. Offsets are given under an advisory lock that is held until the commit is visible, so the order of
 *   the offsets is the order of the commits, and what a reader sees has no hole. An offset is a running number, followed by
 *   six random digits: a reader that asks for what comes after an offset proves with it that the log still holds what it
 *   had read. After a restored copy it does not, even when the log has grown past that number again.
 * - `outbox`: what applications write within their transactions. See docs/postgres.md for how it gets into the log.
 * - `leases` and `nodes`: who may do what only one may do; what nodes tell each other.
 */

/** How long a statement waits for a lock, in milliseconds: less than a node waits for the statement. */
const LOCK_PATIENCE = 2_500;
/** Rows of the outbox that one drain moves: tens of milliseconds, in which nobody else appends. */
export const MOST_DRAINED = 500;
/** The settings of the functions' callers that make no order: SQLSTATE of a refusal that another transaction mends. */
export const WRONG_MODE = 'NL001';

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** The name of something in the schema, for a statement. */
export function within(schema: string, name: string): string {
  return `${quoted(schema)}.${name}`;
}

/** Small tables whose rows change often: room for the new version of a row beside the old one, and early vacuum. */
const RESTLESS = 'fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200';
/** Tables through which rows pass: vacuum by the number of dead rows, however large the table was once. */
const PASSING = 'autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000';

/** What makes it one at a time, within its transaction. */
export function migrationLock(schema: string): string {
  return `SELECT pg_advisory_xact_lock(hashtextextended(${literal(`notify-listen:${schema}`)}, 0))`;
}

/** Whether nothing is missing, as `done`. */
export function migrationDone(schema: string): string {
  const tables = ['state', 'log', 'outbox', 'leases', 'nodes'].map((name) => literal(within(schema, name)));
  // The last that is made.
  const last = literal(within(schema, 'share_1(text, text, text, double precision)'));
  return `SELECT ${tables.map((name) => `to_regclass(${name}) IS NOT NULL`).join(' AND ')} AND to_regprocedure(${last}) IS NOT NULL AS done`;
}

/** The statements, without a transaction around them. Running them again changes nothing. */
export function migrationSql(schema: string): string {
  const S = quoted(schema);
  // Plans are made once for a session, when the tables may still be empty: they must lead through the indexes all the same.
  // For the same reason the newest offset is asked for by its order, not by max().
  // Whoever has turned index scans off would otherwise have the statements compiled, for seconds, as very expensive ones.
  const indexed = 'SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on SET jit = off';
  const settings = `SET lock_timeout = ${LOCK_PATIENCE} ${indexed}`;
  return `
${migrationLock(schema)};

DO $do$ BEGIN
  IF current_setting('server_version_num')::int < 130000 THEN
    RAISE EXCEPTION 'notify-listen needs PostgreSQL 13 or newer';
  END IF;
  IF to_regnamespace(${literal(S)}) IS NULL THEN
    CREATE SCHEMA ${S};
  END IF;
END $do$;

CREATE TABLE IF NOT EXISTS ${S}.state (
  namespace text COLLATE "C" PRIMARY KEY,
  epoch text NOT NULL,
  floor bigint NOT NULL,
  system_id text,
  place text NOT NULL,
  drained pg_snapshot,
  drained_at timestamptz
) WITH (${RESTLESS});

CREATE TABLE IF NOT EXISTS ${S}.log (
  namespace text COLLATE "C" NOT NULL,
  offs bigint NOT NULL,
  at timestamptz NOT NULL,
  key text COLLATE "C",
  entry text NOT NULL,
  PRIMARY KEY (namespace, offs)
) WITH (${PASSING});
CREATE INDEX IF NOT EXISTS log_key ON ${S}.log (key, offs) WHERE key IS NOT NULL;

CREATE TABLE IF NOT EXISTS ${S}.outbox (
  namespace text COLLATE "C" NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id bigint GENERATED ALWAYS AS IDENTITY,
  token text COLLATE "C" NOT NULL,
  entries json NOT NULL CHECK (json_typeof(entries) = 'array'),
  PRIMARY KEY (namespace, xid, id)
) WITH (${PASSING});

CREATE TABLE IF NOT EXISTS ${S}.leases (
  namespace text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  fence bigint NOT NULL,
  holder bigint NOT NULL,
  until timestamptz NOT NULL,
  checkpoint text,
  PRIMARY KEY (namespace, name)
) WITH (${RESTLESS});

CREATE UNLOGGED TABLE IF NOT EXISTS ${S}.nodes (
  namespace text COLLATE "C" NOT NULL,
  node text COLLATE "C" NOT NULL,
  record text NOT NULL,
  until timestamptz NOT NULL,
  PRIMARY KEY (namespace, node)
) WITH (${RESTLESS});

-- By what one notices that this is not the engine that it was: another cluster, a promoted standby or a recovery to a
-- point in time, a table that was emptied, made anew or copied. What may not be asked here stays unknown.
CREATE OR REPLACE FUNCTION ${S}.identity_1(OUT system_id text, OUT place text) LANGUAGE plpgsql STABLE AS $fn$
DECLARE
  v_line text := '?';
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'this server is a standby, and the log needs the primary' USING ERRCODE = '25006';
  END IF;
  IF has_function_privilege('pg_catalog.pg_control_system()', 'execute') THEN
    SELECT c.system_identifier::text INTO system_id FROM pg_control_system() c;
  END IF;
  BEGIN
    v_line := left(pg_walfile_name(pg_current_wal_lsn()), 8);
  EXCEPTION WHEN feature_not_supported OR insufficient_privilege OR undefined_function THEN
    NULL; -- services with a storage of their own have no such names
  END;
  place := v_line || '/' || pg_relation_filenode(${literal(`${S}.log`)}::regclass);
END $fn$;

-- Whether the engine is the one that a row of state tells of.
CREATE OR REPLACE FUNCTION ${S}.same_1(a_state ${S}.state) RETURNS boolean LANGUAGE plpgsql STABLE AS $fn$
DECLARE
  v_now record;
BEGIN
  SELECT * INTO v_now FROM ${S}.identity_1();
  RETURN a_state.place = v_now.place AND coalesce(a_state.system_id <> v_now.system_id, false) = false;
END $fn$;

-- What a writing transaction needs: statements that see what others committed before a lock was theirs, and a commit that
-- is durable where the server can.
CREATE OR REPLACE FUNCTION ${S}.mode_1(a_durable boolean) RETURNS void LANGUAGE plpgsql AS $fn$
BEGIN
  IF pg_is_in_recovery() THEN
    PERFORM ${S}.identity_1(); -- refuses
  END IF;
  IF current_setting('transaction_isolation') <> 'read committed' OR current_setting('transaction_read_only') = 'on' THEN
    RAISE EXCEPTION 'notify-listen needs a transaction that is READ COMMITTED and READ WRITE' USING ERRCODE = '${WRONG_MODE}';
  END IF;
  IF NOT a_durable THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  ELSIF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END $fn$;

-- Begins what writes to the log: one writer at a time, until its commit is visible.
CREATE OR REPLACE FUNCTION ${S}.begin_1(a_namespace text, a_wait boolean) RETURNS boolean LANGUAGE plpgsql AS $fn$
DECLARE
  v_key bigint := hashtextextended(${literal(`notify-listen:${schema}:`)} || a_namespace, 1);
BEGIN
  PERFORM ${S}.mode_1(true);
  IF a_wait THEN
    PERFORM pg_advisory_xact_lock(v_key);
    RETURN true;
  END IF;
  RETURN pg_try_advisory_xact_lock(v_key);
END $fn$;

-- The state, after begin_1. Its epoch becomes a new one when it is a_lost, or when the engine is not what it was; the
-- entries that are left stay, and so do revocations.
CREATE OR REPLACE FUNCTION ${S}.open_1(a_namespace text, a_lost text) RETURNS ${S}.state LANGUAGE plpgsql AS $fn$
DECLARE
  v_state ${S}.state;
  v_now record;
  v_epoch text := left(replace(gen_random_uuid()::text, '-', ''), 16);
BEGIN
  SELECT * INTO v_state FROM ${S}.state s WHERE s.namespace = a_namespace;
  IF FOUND AND v_state.epoch IS DISTINCT FROM a_lost AND ${S}.same_1(v_state) THEN
    RETURN v_state;
  END IF;
  SELECT * INTO v_now FROM ${S}.identity_1();
  INSERT INTO ${S}.state AS s (namespace, epoch, floor, system_id, place)
    VALUES (a_namespace, v_epoch, 0, v_now.system_id, v_now.place)
    ON CONFLICT (namespace) DO UPDATE
      SET epoch = v_epoch, system_id = coalesce(v_now.system_id, s.system_id), place = v_now.place, drained = NULL
    RETURNING * INTO v_state;
  -- The last holders may have been forgotten: no fence may be given twice.
  UPDATE ${S}.leases l SET fence = l.fence + 1000000, holder = 0 WHERE l.namespace = a_namespace;
  RETURN v_state;
END $fn$;

CREATE OR REPLACE FUNCTION ${S}.renew_1(a_namespace text, a_lost text, a_channel text) RETURNS text
LANGUAGE plpgsql ${settings} AS $fn$
DECLARE
  v_state ${S}.state;
BEGIN
  PERFORM ${S}.begin_1(a_namespace, true);
  v_state := ${S}.open_1(a_namespace, a_lost);
  PERFORM pg_notify(a_channel, '');
  RETURN v_state.epoch;
END $fn$;

-- Adds entries: a JSON array of [key or null, entry]. Returns their offsets, a copy's being that of the first one.
CREATE OR REPLACE FUNCTION ${S}.put_1(a_state ${S}.state, a_batch json, a_retention double precision) RETURNS text
LANGUAGE plpgsql AS $fn$
DECLARE
  v_ns text := a_state.namespace;
  v_at timestamptz := clock_timestamp();
  v_since timestamptz := v_at - a_retention * interval '1 millisecond';
  v_salt bigint := floor(random() * 1000000)::bigint;
  v_base bigint;
  v_offsets text;
BEGIN
  -- From the floor on there are no dead rows to walk over.
  SELECT l.offs INTO v_base FROM ${S}.log l WHERE l.namespace = v_ns AND l.offs > a_state.floor
    ORDER BY l.offs DESC LIMIT 1;
  v_base := coalesce(v_base, a_state.floor) / 1000000;
  WITH item AS (
    SELECT e.n, e.item ->> 0 AS key, e.item ->> 1 AS entry
    FROM json_array_elements(a_batch) WITH ORDINALITY AS e (item, n)
  ), known AS (
    SELECT i.n, i.key, i.entry, CASE WHEN i.key IS NULL THEN i.n ELSE min(i.n) OVER (PARTITION BY i.key) END AS first,
      CASE WHEN i.key IS NOT NULL THEN (
        SELECT l.offs FROM ${S}.log l WHERE l.key = i.key AND l.at > v_since ORDER BY l.offs DESC LIMIT 1
      ) END AS older
    FROM item i
  ), fresh AS (
    SELECT k.n, k.key, k.entry, (v_base + row_number() OVER (ORDER BY k.n)) * 1000000 + v_salt AS offs
    FROM known k WHERE k.older IS NULL AND k.first = k.n
  ), added AS (
    INSERT INTO ${S}.log (namespace, offs, at, key, entry) SELECT v_ns, f.offs, v_at, f.key, f.entry FROM fresh f
  )
  SELECT string_agg(coalesce(k.older, f.offs)::text, ',' ORDER BY k.n) INTO v_offsets
  FROM known k LEFT JOIN fresh f ON f.n = k.first;
  RETURN v_offsets;
END $fn$;

CREATE OR REPLACE FUNCTION ${S}.append_1(a_namespace text, a_batch json, a_retention double precision, a_channel text,
  OUT epoch text, OUT offsets text) LANGUAGE plpgsql ${settings} AS $fn$
DECLARE
  v_state ${S}.state;
BEGIN
  PERFORM ${S}.begin_1(a_namespace, true);
  v_state := ${S}.open_1(a_namespace, NULL);
  epoch := v_state.epoch;
  offsets := ${S}.put_1(v_state, a_batch, a_retention);
  PERFORM pg_notify(a_channel, '');
END $fn$;

-- Up to where the outbox was moved, for all that is known: by the state, or by a caller who moved the last of it.
-- Neither is ahead of what is durable: the numbers of transactions that a crash has forgotten are given again.
CREATE OR REPLACE FUNCTION ${S}.since_1(a_state ${S}.state, a_epoch text, a_drained pg_snapshot) RETURNS pg_snapshot
LANGUAGE plpgsql STABLE AS $fn$
BEGIN
  IF a_epoch = a_state.epoch AND (a_state.drained IS NULL OR pg_snapshot_xmax(a_state.drained) < pg_snapshot_xmax(a_drained)) THEN
    RETURN a_drained;
  END IF;
  RETURN a_state.drained;
END $fn$;

-- Whether the outbox has rows that are committed and were not when a_drained, a snapshot, was taken; nothing: ever.
-- The index leads to the rows of transactions that were open then or began later, past all that is dead: one search for
-- each of the former, as a planner that is given all of them at once may walk over everything instead.
CREATE OR REPLACE FUNCTION ${S}.pending_1(a_namespace text, a_drained pg_snapshot) RETURNS boolean
LANGUAGE plpgsql STABLE ${indexed} AS $fn$
DECLARE
  v_from xid8 := coalesce(pg_snapshot_xmax(a_drained), '0'::xid8);
  v_open xid8[];
BEGIN
  IF EXISTS (SELECT FROM ${S}.outbox o WHERE o.namespace = a_namespace AND o.xid >= v_from) THEN
    RETURN true;
  END IF;
  IF a_drained IS NULL THEN
    RETURN false;
  END IF;
  v_open := ARRAY(SELECT pg_snapshot_xip(a_drained));
  RETURN EXISTS (
    SELECT FROM unnest(v_open) AS x (xid), LATERAL (
      SELECT FROM ${S}.outbox o WHERE o.namespace = a_namespace AND o.xid = x.xid LIMIT 1
    ) c
  );
END $fn$;

-- Moves committed rows of the outbox into the log. outcome: none, busy (somebody else is writing), moved, more.
-- drained: the snapshot up to which all was moved; it is durable, and holds while the epoch does.
CREATE OR REPLACE FUNCTION ${S}.drain_1(a_namespace text, a_epoch text, a_drained pg_snapshot,
  a_retention double precision, a_channel text, a_wait boolean, OUT outcome text, OUT epoch text, OUT drained text, OUT tokens text)
LANGUAGE plpgsql ${settings} AS $fn$
DECLARE
  v_state ${S}.state;
  v_since pg_snapshot;
  v_from xid8;
  v_open xid8[];
  v_count bigint;
  v_batch json;
  v_wrote boolean;
BEGIN
  SELECT ${S}.since_1(s, a_epoch, a_drained) INTO v_since FROM ${S}.state s WHERE s.namespace = a_namespace;
  IF NOT ${S}.pending_1(a_namespace, v_since) THEN
    outcome := 'none';
    RETURN;
  END IF;
  IF NOT ${S}.begin_1(a_namespace, a_wait) THEN
    outcome := 'busy';
    RETURN;
  END IF;
  v_state := ${S}.open_1(a_namespace, NULL);
  v_since := ${S}.since_1(v_state, a_epoch, a_drained);
  v_from := coalesce(pg_snapshot_xmax(v_since), '0'::xid8);
  v_wrote := pg_current_xact_id_if_assigned() IS NOT NULL;
  v_open := CASE WHEN v_since IS NULL THEN '{}' ELSE ARRAY(SELECT pg_snapshot_xip(v_since)) END;
  -- One statement is one snapshot, taken after the lock: what it does not see, the next drain will.
  WITH due AS MATERIALIZED (
    SELECT c.tid, c.id FROM (
      SELECT o.ctid AS tid, o.id FROM ${S}.outbox o WHERE o.namespace = a_namespace AND o.xid >= v_from
      UNION ALL
      SELECT o.tid, o.id FROM unnest(v_open) AS x (xid), LATERAL (
        SELECT p.ctid AS tid, p.id FROM ${S}.outbox p WHERE p.namespace = a_namespace AND p.xid = x.xid OFFSET 0
      ) o
    ) c ORDER BY c.id LIMIT ${MOST_DRAINED + 1}
  ), gone AS (
    DELETE FROM ${S}.outbox o
    WHERE o.ctid = ANY (ARRAY(SELECT d.tid FROM due d ORDER BY d.id LIMIT ${MOST_DRAINED}))
    RETURNING o.id, o.token, o.entries
  )
  SELECT pg_current_snapshot()::text, (SELECT count(*) FROM due), string_agg(DISTINCT g.token, ','),
    json_agg(e.item ORDER BY g.id, e.n)
  INTO drained, v_count, tokens, v_batch
  FROM gone g, json_array_elements(g.entries) WITH ORDINALITY AS e (item, n);
  IF v_count = 0 THEN
    outcome := 'none';
    drained := NULL;
    RETURN;
  END IF;
  PERFORM ${S}.put_1(v_state, v_batch, a_retention);
  PERFORM pg_notify(a_channel, '');
  epoch := v_state.epoch;
  outcome := CASE WHEN v_count > ${MOST_DRAINED} THEN 'more' ELSE 'moved' END;
  -- A part is not all; and a transaction that wrote before has a number that may be below those that the snapshot tells of.
  IF outcome = 'more' OR v_wrote THEN
    drained := NULL;
  END IF;
END $fn$;

-- What comes after an offset, all of one snapshot. sound: the engine is what it was, and holds what was read up to there.
CREATE OR REPLACE FUNCTION ${S}.read_1(a_namespace text, a_epoch text, a_after bigint, a_limit int, a_drained_epoch text,
  a_drained pg_snapshot, OUT epoch text, OUT sound boolean, OUT floor text, OUT top text, OUT entries text,
  OUT pending boolean) LANGUAGE plpgsql STABLE ${settings} AS $fn$
DECLARE
  v_state ${S}.state;
  v_from bigint;
BEGIN
  SELECT * INTO v_state FROM ${S}.state s WHERE s.namespace = a_namespace;
  sound := FOUND AND ${S}.same_1(v_state) AND (
    a_epoch IS DISTINCT FROM v_state.epoch OR a_after <= v_state.floor
    OR EXISTS (SELECT FROM ${S}.log l WHERE l.namespace = a_namespace AND l.offs = a_after)
  );
  epoch := v_state.epoch;
  IF NOT sound THEN
    RETURN;
  END IF;
  v_from := CASE WHEN a_epoch = v_state.epoch THEN greatest(a_after, v_state.floor) ELSE v_state.floor END;
  floor := v_state.floor::text;
  SELECT l.offs::text INTO top FROM ${S}.log l WHERE l.namespace = a_namespace AND l.offs > v_state.floor
    ORDER BY l.offs DESC LIMIT 1;
  top := coalesce(top, floor);
  SELECT '[' || string_agg('["' || w.offs || '",' || w.entry || ']', ',' ORDER BY w.offs) || ']' INTO entries
  FROM (
    SELECT l.offs, l.entry FROM ${S}.log l
    WHERE l.namespace = a_namespace AND l.offs > v_from ORDER BY l.offs LIMIT a_limit
  ) w;
  pending := ${S}.pending_1(a_namespace, ${S}.since_1(v_state, a_drained_epoch, a_drained));
END $fn$;

-- Drops a piece of what is too old or too much, from the floor on, and raises the floor. Returns whether there may be more.
CREATE OR REPLACE FUNCTION ${S}.trim_1(a_namespace text, a_retention double precision, a_cap bigint, a_limit int, a_wait boolean)
RETURNS boolean LANGUAGE plpgsql ${settings} AS $fn$
DECLARE
  v_key bigint := hashtextextended(${literal(`notify-listen:${schema}:`)} || a_namespace, 2);
  v_since timestamptz := clock_timestamp() - a_retention * interval '1 millisecond';
  v_floor bigint;
  v_top bigint;
  v_bound bigint;
  v_seen bigint;
BEGIN
  -- Losing it in a crash loses nothing: what was dropped is there again.
  PERFORM ${S}.mode_1(false);
  IF a_wait THEN
    PERFORM pg_advisory_xact_lock(v_key);
  ELSIF NOT pg_try_advisory_xact_lock(v_key) THEN
    RETURN false;
  END IF;
  SELECT s.floor INTO v_floor FROM ${S}.state s WHERE s.namespace = a_namespace;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  -- Where all that this statement sees of the outbox was moved, nobody need look at it again. It is the first to write, so
  -- the number of its transaction is above those that it tells of, and a crash that forgets them forgets it.
  IF pg_relation_size(${literal(`${S}.outbox`)}::regclass) > 0 THEN
    UPDATE ${S}.state s SET drained = pg_current_snapshot(), drained_at = clock_timestamp()
    WHERE s.namespace = a_namespace AND coalesce(s.drained_at < clock_timestamp() - interval '3 seconds', true)
      AND NOT ${S}.pending_1(a_namespace, s.drained);
  END IF;
  SELECT l.offs INTO v_top FROM ${S}.log l WHERE l.namespace = a_namespace AND l.offs > v_floor
    ORDER BY l.offs DESC LIMIT 1;
  IF v_top IS NOT NULL THEN
    WITH piece AS (
      SELECT l.offs, l.at <= v_since OR l.offs / 1000000 <= v_top / 1000000 - a_cap AS over
      FROM ${S}.log l WHERE l.namespace = a_namespace AND l.offs > v_floor ORDER BY l.offs LIMIT a_limit
    ), kept AS (
      SELECT min(p.offs) AS first FROM piece p WHERE NOT p.over
    )
    SELECT max(p.offs), count(*) INTO v_bound, v_seen FROM piece p, kept k WHERE p.offs < k.first OR k.first IS NULL;
  END IF;
  IF v_bound IS NOT NULL THEN
    DELETE FROM ${S}.log l WHERE l.namespace = a_namespace AND l.offs > v_floor AND l.offs <= v_bound;
    UPDATE ${S}.state s SET floor = greatest(s.floor, v_bound) WHERE s.namespace = a_namespace;
  END IF;
  DELETE FROM ${S}.nodes n WHERE n.namespace = a_namespace AND n.until < clock_timestamp() - interval '1 minute';
  RETURN coalesce(v_seen, 0) >= a_limit;
END $fn$;

-- a_do: claim, renew, release, checkpoint, move. Nothing comes back where the lease is not the caller's.
CREATE OR REPLACE FUNCTION ${S}.lease_1(a_namespace text, a_name text, a_do text, a_fence bigint, a_ttl double precision,
  a_checkpoint text) RETURNS TABLE (fence text, checkpoint text) LANGUAGE plpgsql ${settings} AS $fn$
DECLARE
  v_now timestamptz;
  v_until timestamptz;
BEGIN
  PERFORM ${S}.mode_1(true);
  IF a_do = 'claim' THEN
    -- The time is looked up after the row is there and locked, by whoever else claims it.
    INSERT INTO ${S}.leases AS l (namespace, name, fence, holder, until) VALUES (a_namespace, a_name, 0, 0, '-infinity')
      ON CONFLICT (namespace, name) DO NOTHING;
    PERFORM FROM ${S}.leases l WHERE l.namespace = a_namespace AND l.name = a_name FOR UPDATE;
    v_now := clock_timestamp();
    v_until := v_now + a_ttl * interval '1 millisecond';
    RETURN QUERY UPDATE ${S}.leases l SET fence = l.fence + 1, holder = l.fence + 1, until = v_until
      WHERE l.namespace = a_namespace AND l.name = a_name AND (l.holder = 0 OR l.until <= v_now)
      RETURNING l.fence::text, l.checkpoint;
  ELSIF a_do = 'renew' THEN
    RETURN QUERY UPDATE ${S}.leases l SET until = clock_timestamp() + a_ttl * interval '1 millisecond'
      WHERE l.namespace = a_namespace AND l.name = a_name AND l.holder = a_fence RETURNING l.fence::text, l.checkpoint;
  ELSIF a_do = 'release' THEN
    RETURN QUERY UPDATE ${S}.leases l SET holder = 0
      WHERE l.namespace = a_namespace AND l.name = a_name AND l.holder = a_fence RETURNING l.fence::text, l.checkpoint;
  ELSIF a_do = 'move' THEN
    RETURN QUERY UPDATE ${S}.leases l SET checkpoint = a_checkpoint
      WHERE l.namespace = a_namespace AND l.name = a_name AND l.fence = a_fence RETURNING l.fence::text, l.checkpoint;
  ELSE
    RETURN QUERY SELECT l.fence::text, l.checkpoint FROM ${S}.leases l
      WHERE l.namespace = a_namespace AND l.name = a_name;
  END IF;
END $fn$;

CREATE OR REPLACE FUNCTION ${S}.share_1(a_namespace text, a_node text, a_record text, a_ttl double precision)
RETURNS TABLE (record text) LANGUAGE plpgsql ${settings} AS $fn$
BEGIN
  PERFORM ${S}.mode_1(false);
  INSERT INTO ${S}.nodes AS n (namespace, node, record, until)
    VALUES (a_namespace, a_node, a_record, clock_timestamp() + a_ttl * interval '1 millisecond')
    ON CONFLICT (namespace, node) DO UPDATE SET record = EXCLUDED.record, until = EXCLUDED.until;
  RETURN QUERY SELECT n.record FROM ${S}.nodes n
    WHERE n.namespace = a_namespace AND n.node <> a_node AND n.until > clock_timestamp();
END $fn$;
`;
}
