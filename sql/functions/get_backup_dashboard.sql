-- How things stand now, one row a type, also for a type that has no backup.
-- health: 'healthy' (the last backup that ended completed), 'failing' (it failed), 'none' (none ended yet). Cancelled ones do not count.
CREATE OR REPLACE FUNCTION get_backup_dashboard()
RETURNS TABLE (
    type TEXT,
    health TEXT,
    last_success TIMESTAMP WITH TIME ZONE,
    last_success_job_id TEXT,
    last_success_bytes BIGINT,
    verified_level TEXT,
    hours_since_success NUMERIC,
    last_failure TIMESTAMP WITH TIME ZONE,
    last_failure_job_id TEXT,
    last_failure_error TEXT,
    failures_since_success BIGINT,
    open_jobs BIGINT,
    oldest_open_since TIMESTAMP WITH TIME ZONE,
    completed_last_7_days BIGINT,
    failed_last_7_days BIGINT,
    last_restore TIMESTAMP WITH TIME ZONE,
    last_restore_status TEXT
)
LANGUAGE sql STABLE
AS $$
    SELECT
        kind.type,
        CASE
            WHEN success.ended_at IS NULL AND failure.ended_at IS NULL THEN 'none'
            WHEN failures.count > 0 THEN 'failing'
            ELSE 'healthy'
        END,
        success.ended_at,
        success.job_id,
        success.size_bytes,
        success.verified_level,
        ROUND((EXTRACT(EPOCH FROM now() - success.ended_at) / 3600)::numeric, 2),
        failure.ended_at,
        failure.job_id,
        failure.error_message,
        failures.count,
        open_work.count,
        open_work.oldest,
        COALESCE(week.completed, 0),
        COALESCE(week.failed, 0),
        restore.started_at,
        restore.status
    FROM (VALUES (1, 'database'), (2, 'function'), (3, 'config'), (4, 'secrets')) AS kind (place, type)
    LEFT JOIN LATERAL (
        SELECT job.job_id, job.size_bytes, job.metadata ->> 'verifiedLevel' AS verified_level,
               COALESCE(job.completed_at, job.started_at) AS ended_at
        FROM backup_jobs AS job
        WHERE job.type = kind.type AND job.status = 'completed'
        ORDER BY COALESCE(job.completed_at, job.started_at) DESC NULLS LAST
        LIMIT 1
    ) AS success ON true
    LEFT JOIN LATERAL (
        SELECT job.job_id, job.error_message, COALESCE(job.completed_at, job.started_at) AS ended_at
        FROM backup_jobs AS job
        WHERE job.type = kind.type AND job.status = 'failed'
        ORDER BY COALESCE(job.completed_at, job.started_at) DESC NULLS LAST
        LIMIT 1
    ) AS failure ON true
    CROSS JOIN LATERAL (
        SELECT COUNT(*) AS count
        FROM backup_jobs AS job
        WHERE job.type = kind.type AND job.status = 'failed'
          AND COALESCE(job.completed_at, job.started_at) > COALESCE(success.ended_at, '-infinity')
    ) AS failures
    CROSS JOIN LATERAL (
        SELECT COUNT(*) AS count, MIN(job.started_at) AS oldest
        FROM backup_jobs AS job
        WHERE job.type = kind.type AND job.status IN ('pending', 'running')
    ) AS open_work
    LEFT JOIN (
        SELECT
            job.type,
            COUNT(*) FILTER (WHERE job.status = 'completed') AS completed,
            COUNT(*) FILTER (WHERE job.status = 'failed') AS failed
        FROM backup_jobs AS job
        WHERE job.started_at >= now() - INTERVAL '7 days'
        GROUP BY job.type
    ) AS week ON week.type = kind.type
    LEFT JOIN LATERAL (
        -- The first index entry from this type on. Written with '=', a type without restores may cost a walk through all others'.
        SELECT job.type, job.started_at, job.status
        FROM restore_jobs AS job
        WHERE job.type >= kind.type
        ORDER BY job.type, job.started_at DESC NULLS LAST, job.job_id DESC
        LIMIT 1
    ) AS restore ON restore.type = kind.type
    ORDER BY kind.place
$$;

COMMENT ON FUNCTION get_backup_dashboard() IS 'How things stand now: last success and failure, open work, the last week and the last restore, one row a type.';
