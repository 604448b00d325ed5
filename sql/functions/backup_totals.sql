-- The parts of backup_totals, which backup_jobs's triggers keep (docs/decisions/0015-totals.md).

-- What one backup adds to the totals of its day: a row, or none where it did not complete or has no start. It fails on no row that
-- the table takes: a time without end makes no duration.
CREATE OR REPLACE FUNCTION backup_totals_of(
    status TEXT,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    size_bytes BIGINT,
    metadata JSONB
)
RETURNS TABLE (
    day TIMESTAMP WITH TIME ZONE,
    completed INTEGER,
    total_bytes BIGINT,
    sizes INTEGER,
    stored_bytes NUMERIC,
    seconds NUMERIC,
    durations INTEGER
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        date_trunc('day', started_at, 'UTC'),
        1,
        COALESCE(size_bytes, 0),
        (size_bytes IS NOT NULL)::integer,
        CASE WHEN jsonb_typeof(metadata -> 'storedBytes') = 'number' THEN (metadata -> 'storedBytes')::numeric ELSE 0 END,
        CASE WHEN isfinite(started_at) AND isfinite(completed_at)
             THEN EXTRACT(EPOCH FROM completed_at)::numeric - EXTRACT(EPOCH FROM started_at)::numeric
             ELSE 0 END,
        (isfinite(started_at) AND isfinite(completed_at) AND completed_at IS NOT NULL)::integer
    WHERE status = 'completed' AND started_at IS NOT NULL
$$;

COMMENT ON FUNCTION backup_totals_of(TEXT, TIMESTAMP WITH TIME ZONE, TIMESTAMP WITH TIME ZONE, BIGINT, JSONB) IS
    'What one backup adds to the totals of its day.';

-- Add what a statement changed. Rows that come or go together are summed up first; a row that changes goes and comes.
-- It runs as the owner, for whoever may write jobs need not be let at the totals, and finds them beside the table, whatever the
-- search_path of the session.
CREATE OR REPLACE FUNCTION backup_totals_follow() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sign CONSTANT INTEGER := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        PERFORM set_config('search_path', format('%I, pg_temp', TG_TABLE_SCHEMA), true);
        INSERT INTO backup_totals (type, day, completed, total_bytes, sizes, stored_bytes, seconds, durations)
        SELECT OLD.type, went.day, -went.completed, -went.total_bytes::numeric, -went.sizes, -went.stored_bytes, -went.seconds,
               -went.durations
        FROM backup_totals_of(OLD.status, OLD.started_at, OLD.completed_at, OLD.size_bytes, OLD.metadata) AS went
        UNION ALL
        SELECT NEW.type, came.*
        FROM backup_totals_of(NEW.status, NEW.started_at, NEW.completed_at, NEW.size_bytes, NEW.metadata) AS came;
    ELSIF EXISTS (SELECT FROM changed WHERE status = 'completed') THEN
        PERFORM set_config('search_path', format('%I, pg_temp', TG_TABLE_SCHEMA), true);
        INSERT INTO backup_totals (type, day, completed, total_bytes, sizes, stored_bytes, seconds, durations)
        SELECT job.type, part.day, sign * SUM(part.completed), sign * SUM(part.total_bytes), sign * SUM(part.sizes),
               sign * SUM(part.stored_bytes), sign * SUM(part.seconds), sign * SUM(part.durations)
        FROM changed AS job
        CROSS JOIN LATERAL backup_totals_of(job.status, job.started_at, job.completed_at, job.size_bytes, job.metadata) AS part
        GROUP BY job.type, part.day;
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION backup_totals_follow() IS 'Adds to backup_totals what a statement changed in backup_jobs.';

-- Make one row of a day's rows, at every 4,096th that is added. It waits for nobody and nobody for it: rows that another
-- transaction folds are passed over, and where a transaction sees an older state than the newest, nothing is folded.
CREATE OR REPLACE FUNCTION backup_totals_fold() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    IF current_setting('transaction_isolation') = 'read committed' THEN
        WITH gone AS (
            DELETE FROM backup_totals WHERE ctid = ANY (ARRAY(
                SELECT total.ctid FROM backup_totals AS total
                WHERE (total.type, total.day) IN (SELECT many.type, many.day FROM backup_totals AS many GROUP BY 1, 2 HAVING COUNT(*) > 1)
                FOR UPDATE SKIP LOCKED))
            RETURNING *
        )
        INSERT INTO backup_totals (type, day, completed, total_bytes, sizes, stored_bytes, seconds, durations)
        SELECT type, day, SUM(completed), SUM(total_bytes), SUM(sizes), SUM(stored_bytes), SUM(seconds), SUM(durations)
        FROM gone
        GROUP BY type, day
        HAVING (SUM(completed), SUM(total_bytes), SUM(sizes), SUM(stored_bytes), SUM(seconds), SUM(durations)) <> (0, 0, 0, 0, 0, 0);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION backup_totals_fold() IS 'Makes one row of a day''s rows of backup_totals.';

-- Make the totals anew from all rows, when either table was emptied: TRUNCATE backup_totals makes them anew. Nobody else writes
-- meanwhile, for TRUNCATE locks its table.
CREATE OR REPLACE FUNCTION backup_totals_anew() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION '% can be emptied in a transaction of READ COMMITTED only', TG_TABLE_NAME
            USING ERRCODE = 'active_sql_transaction', DETAIL = 'The totals of backups are made anew from what is newest.';
    END IF;
    PERFORM set_config('search_path', format('%I, pg_temp', TG_TABLE_SCHEMA), true);
    DELETE FROM backup_totals;
    INSERT INTO backup_totals (type, day, completed, total_bytes, sizes, stored_bytes, seconds, durations)
    SELECT job.type, part.day, SUM(part.completed), SUM(part.total_bytes), SUM(part.sizes), SUM(part.stored_bytes),
           SUM(part.seconds), SUM(part.durations)
    FROM backup_jobs AS job
    CROSS JOIN LATERAL backup_totals_of(job.status, job.started_at, job.completed_at, job.size_bytes, job.metadata) AS part
    GROUP BY job.type, part.day;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION backup_totals_anew() IS 'Makes backup_totals anew from backup_jobs when either was emptied.';

-- Pass over what is not written by a trigger. Rows that are loaded from a dump of the data alone, beside those of backup_jobs,
-- would count twice.
CREATE OR REPLACE FUNCTION backup_totals_only_follow() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION backup_totals_only_follow() IS 'Passes over what is written into backup_totals by hand.';
