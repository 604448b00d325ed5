-- Backups of the last days, one row a type, also for a type that has none. NULL days: of all time.
-- success_rate is the percentage of completed among completed and failed. total_bytes is what completed backups read,
-- stored_bytes what they added to the repository. last_success and last_failure look back beyond the days.
CREATE OR REPLACE FUNCTION get_backup_statistics(days_back INTEGER DEFAULT 30)
RETURNS TABLE (
    type TEXT,
    total BIGINT,
    completed BIGINT,
    failed BIGINT,
    cancelled BIGINT,
    running BIGINT,
    pending BIGINT,
    success_rate NUMERIC,
    total_bytes BIGINT,
    stored_bytes BIGINT,
    average_bytes BIGINT,
    average_duration_seconds NUMERIC,
    last_success TIMESTAMP WITH TIME ZONE,
    last_failure TIMESTAMP WITH TIME ZONE
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        kind.type,
        COALESCE(done.count, 0) + COALESCE(other.count, 0),
        COALESCE(done.count, 0),
        COALESCE(other.failed, 0),
        COALESCE(other.cancelled, 0),
        COALESCE(other.running, 0),
        COALESCE(other.pending, 0),
        ROUND(100.0 * COALESCE(done.count, 0) / NULLIF(COALESCE(done.count, 0) + COALESCE(other.failed, 0), 0), 2),
        COALESCE(done.total_bytes, 0)::bigint,
        COALESCE(done.stored_bytes, 0)::bigint,
        ROUND(done.total_bytes / NULLIF(done.sizes, 0))::bigint,
        ROUND((EXTRACT(EPOCH FROM done.duration) / NULLIF(done.durations, 0))::numeric, 3),
        success.ended_at,
        failure.ended_at
    FROM (VALUES (1, 'database'), (2, 'function'), (3, 'config'), (4, 'secrets')) AS kind (place, type)
    LEFT JOIN (
        -- Of each row as little is made as there can be, for there may be a million: sums are of completed ones alone, and
        -- storedBytes is read the short way where the index of odd ones is empty.
        SELECT
            each.type,
            COUNT(*) AS count,
            SUM(each.size_bytes) AS total_bytes,
            COUNT(each.size_bytes) AS sizes,
            SUM(CASE
                WHEN (SELECT COUNT(*) FROM backup_jobs AS odd
                      WHERE (odd.metadata ->> 'storedBytes') IS NOT NULL
                        AND (jsonb_typeof(odd.metadata -> 'storedBytes') <> 'number'
                             OR (odd.metadata ->> 'storedBytes') !~ '^[0-9]{1,18}$')) = 0
                THEN (each.metadata ->> 'storedBytes')::bigint
                WHEN jsonb_typeof(each.metadata -> 'storedBytes') = 'number'
                THEN (each.metadata -> 'storedBytes')::numeric
            END) AS stored_bytes,
            SUM(each.completed_at - each.started_at) AS duration,
            COUNT(each.completed_at) AS durations
        FROM backup_jobs AS each
        WHERE each.status = 'completed'
          AND each.started_at >= COALESCE(now() - make_interval(days => get_backup_statistics.days_back), '-infinity')
        GROUP BY each.type
    ) AS done ON done.type = kind.type
    LEFT JOIN (
        SELECT
            job.type,
            COUNT(*) AS count,
            COUNT(*) FILTER (WHERE job.status = 'failed') AS failed,
            COUNT(*) FILTER (WHERE job.status = 'cancelled') AS cancelled,
            COUNT(*) FILTER (WHERE job.status = 'running') AS running,
            COUNT(*) FILTER (WHERE job.status = 'pending') AS pending
        FROM backup_jobs AS job
        WHERE job.status <> 'completed'
          AND job.started_at >= COALESCE(now() - make_interval(days => get_backup_statistics.days_back), '-infinity')
        GROUP BY job.type
    ) AS other ON other.type = kind.type
    LEFT JOIN LATERAL (
        SELECT COALESCE(job.completed_at, job.started_at) AS ended_at
        FROM backup_jobs AS job
        WHERE job.type = kind.type AND job.status = 'completed'
        ORDER BY COALESCE(job.completed_at, job.started_at) DESC NULLS LAST
        LIMIT 1
    ) AS success ON true
    LEFT JOIN LATERAL (
        SELECT COALESCE(job.completed_at, job.started_at) AS ended_at
        FROM backup_jobs AS job
        WHERE job.type = kind.type AND job.status = 'failed'
        ORDER BY COALESCE(job.completed_at, job.started_at) DESC NULLS LAST
        LIMIT 1
    ) AS failure ON true
    ORDER BY kind.place
$$;

COMMENT ON FUNCTION get_backup_statistics(INTEGER) IS 'Backups of the last days, one row a type; NULL: of all time.';
