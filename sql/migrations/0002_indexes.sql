-- What a million rows need. NULLS LAST everywhere, so that a row without a time never counts as the newest.

-- Lists, newest first: of all types, of one type, of what did not complete (open work is a handful of rows at its end).
CREATE INDEX IF NOT EXISTS backup_jobs_newest
    ON backup_jobs (started_at DESC NULLS LAST, job_id DESC);
CREATE INDEX IF NOT EXISTS backup_jobs_newest_of_type
    ON backup_jobs (type, started_at DESC NULLS LAST, job_id DESC);
CREATE INDEX IF NOT EXISTS backup_jobs_not_completed
    ON backup_jobs (status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
-- The last success, the last failure, and what cleanup_backup_data may delete.
CREATE INDEX IF NOT EXISTS backup_jobs_ended
    ON backup_jobs (type, status, (COALESCE(completed_at, started_at)) DESC NULLS LAST);

CREATE INDEX IF NOT EXISTS restore_jobs_newest
    ON restore_jobs (started_at DESC NULLS LAST, job_id DESC);
CREATE INDEX IF NOT EXISTS restore_jobs_newest_of_type
    ON restore_jobs (type, started_at DESC NULLS LAST, job_id DESC);
CREATE INDEX IF NOT EXISTS restore_jobs_newest_of_backup
    ON restore_jobs (backup_id, started_at DESC NULLS LAST);
CREATE INDEX IF NOT EXISTS restore_jobs_not_completed
    ON restore_jobs (status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS restore_jobs_ended
    ON restore_jobs (type, status, (COALESCE(completed_at, started_at)) DESC NULLS LAST);

CREATE INDEX IF NOT EXISTS disaster_recovery_executions_newest
    ON disaster_recovery_executions (started_at DESC NULLS LAST);
CREATE INDEX IF NOT EXISTS disaster_recovery_executions_newest_of_plan
    ON disaster_recovery_executions (plan_id, started_at DESC NULLS LAST);
CREATE INDEX IF NOT EXISTS disaster_recovery_executions_running
    ON disaster_recovery_executions (plan_id) WHERE status = 'running';
CREATE INDEX IF NOT EXISTS disaster_recovery_executions_ended
    ON disaster_recovery_executions ((COALESCE(completed_at, started_at))) WHERE status <> 'running';
