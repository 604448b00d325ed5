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
LANGUAGE sql STABLE
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
        jobs.average_bytes::bigint,
        ROUND(jobs.average_duration_seconds::numeric, 3),
        success.ended_at,
        failure.ended_at
    FROM (VALUES (1, 'database'), (2, 'function'), (3, 'config'), (4, 'secrets')) AS kind (place, type)
    LEFT JOIN (
        SELECT
            job.type,
            COUNT(*) AS total,
            COUNT(*) FILTER (WHERE job.status = 'completed') AS completed,
            COUNT(*) FILTER (WHERE job.status = 'failed') AS failed,
            COUNT(*) FILTER (WHERE job.status = 'cancelled') AS cancelled,
            COUNT(*) FILTER (WHERE job.status = 'running') AS running,
            COUNT(*) FILTER (WHERE job.status = 'pending') AS pending,
            SUM(job.size_bytes) FILTER (WHERE job.status = 'completed') AS total_bytes,
            SUM(CASE WHEN jsonb_typeof(job.metadata -> 'storedBytes') = 'number'
                     THEN (job.metadata ->> 'storedBytes')::numeric END)
                FILTER (WHERE job.status = 'completed') AS stored_bytes,
            AVG(job.size_bytes) FILTER (WHERE job.status = 'completed') AS average_bytes,
            AVG(EXTRACT(EPOCH FROM job.completed_at - job.started_at))
                FILTER (WHERE job.status = 'completed') AS average_duration_seconds
        FROM backup_jobs AS job
        WHERE job.started_at >= COALESCE(now() - make_interval(days => get_backup_statistics.days_back), '-infinity')
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
