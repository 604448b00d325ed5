-- Jobs of all kinds.

-- name: ended
-- Of these jobs, the ones that have ended.
SELECT job_id FROM backup_jobs
WHERE job_id = ANY (CAST(:job_ids AS text[])) AND status IN ('completed', 'failed', 'cancelled')
UNION ALL
SELECT job_id FROM restore_jobs
WHERE job_id = ANY (CAST(:job_ids AS text[])) AND status IN ('completed', 'failed', 'cancelled')
UNION ALL
SELECT job_id FROM maintenance_jobs
WHERE job_id = ANY (CAST(:job_ids AS text[])) AND status IN ('completed', 'failed', 'cancelled')
UNION ALL
SELECT execution_id FROM disaster_recovery_executions
WHERE execution_id = ANY (CAST(:job_ids AS text[])) AND status <> 'running';
