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
        COALESCE(jobs.total, 0),
        COALESCE(jobs.completed, 0),
        COALESCE(jobs.failed, 0),
        COALESCE(jobs.cancelled, 0),
        COALESCE(jobs.running, 0),
        COALESCE(jobs.pending, 0),
        ROUND(100.0 * jobs.completed / NULLIF(jobs.completed + jobs.failed, 0), 2),
        COALESCE(jobs.total_bytes, 0)::bigint,
        COALESCE(jobs.stored_bytes, 0)::bigint,
        ROUND(jobs.total_bytes / NULLIF(jobs.sizes, 0))::bigint,
        ROUND((EXTRACT(EPOCH FROM jobs.duration) / NULLIF(jobs.durations, 0))::numeric, 3),
        success.ended_at,
        failure.ended_at
    FROM (VALUES (1, 'database'), (2, 'function'), (3, 'config'), (4, 'secrets')) AS kind (place, type)
    LEFT JOIN (
        SELECT
            job.type,
            SUM(job.count)::bigint AS total,
            COALESCE(SUM(job.count) FILTER (WHERE job.status = 'completed'), 0)::bigint AS completed,
            COALESCE(SUM(job.count) FILTER (WHERE job.status = 'failed'), 0)::bigint AS failed,
            COALESCE(SUM(job.count) FILTER (WHERE job.status = 'cancelled'), 0)::bigint AS cancelled,
            COALESCE(SUM(job.count) FILTER (WHERE job.status = 'running'), 0)::bigint AS running,
            COALESCE(SUM(job.count) FILTER (WHERE job.status = 'pending'), 0)::bigint AS pending,
            SUM(job.total_bytes) FILTER (WHERE job.status = 'completed') AS total_bytes,
            SUM(job.stored_bytes) FILTER (WHERE job.status = 'completed') AS stored_bytes,
            SUM(job.sizes) FILTER (WHERE job.status = 'completed') AS sizes,
            SUM(job.duration) FILTER (WHERE job.status = 'completed') AS duration,
            SUM(job.durations) FILTER (WHERE job.status = 'completed') AS durations
        FROM (
            -- By type and status first: of each row as little is made as there can be, for there may be a million.
            SELECT
                each.type,
                each.status,
                COUNT(*) AS count,
                SUM(each.size_bytes) AS total_bytes,
                COUNT(each.size_bytes) AS sizes,
                SUM(CASE WHEN jsonb_typeof(each.metadata -> 'storedBytes') = 'number'
                         THEN (each.metadata -> 'storedBytes')::numeric END) AS stored_bytes,
                SUM(each.completed_at - each.started_at) AS duration,
                COUNT(each.completed_at - each.started_at) AS durations
            FROM backup_jobs AS each
            WHERE each.started_at >= COALESCE(now() - make_interval(days => get_backup_statistics.days_back), '-infinity')
            GROUP BY each.type, each.status
        ) AS job
        GROUP BY job.type
    ) AS jobs ON jobs.type = kind.type
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
