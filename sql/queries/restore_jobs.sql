-- The life of a row in restore_jobs, as in backup_jobs.

-- name: announce
-- Make the row of a job whose run waits for its turn; one that has begun meanwhile has made it already.
INSERT INTO restore_jobs (job_id, backup_id, type, status, metadata)
VALUES (:job_id, :backup_id, :type, 'pending', CAST(:metadata AS jsonb))
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id;

-- name: open
-- Make the row, pending. A run that is tried again under its id opens its row again, unless it is completed.
INSERT INTO restore_jobs AS job (job_id, backup_id, type, status, started_at, metadata)
VALUES (:job_id, :backup_id, :type, 'pending', COALESCE(CAST(:at AS timestamptz), now()), CAST(:metadata AS jsonb))
ON CONFLICT (job_id) DO UPDATE
SET status = 'pending', backup_id = EXCLUDED.backup_id, started_at = EXCLUDED.started_at, completed_at = NULL, error_message = NULL,
    metadata = (COALESCE(job.metadata, '{}') - 'presumedDead') || EXCLUDED.metadata
WHERE job.status <> 'completed'
RETURNING job_id;

-- name: start
-- Say that the work runs, and of which backup, where it was opened as of the latest. The time is the first start's.
UPDATE restore_jobs
SET backup_id = COALESCE(:backup_id, backup_id),
    started_at = CASE WHEN status = 'pending' THEN COALESCE(CAST(:at AS timestamptz), now()) ELSE started_at END,
    status = 'running', metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id AND status IN ('pending', 'running')
RETURNING job_id;

-- name: note
-- Add to the metadata.
UPDATE restore_jobs
SET metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id
RETURNING job_id;

-- name: close
-- End the job, once. It never ends before it started, whatever two clocks say.
UPDATE restore_jobs
SET status = :status, completed_at = GREATEST(COALESCE(CAST(:at AS timestamptz), now()), started_at),
    error_message = :error_message, metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id AND status IN ('pending', 'running')
RETURNING job_id;

-- name: get
-- One restore.
SELECT job_id, backup_id, type, status, started_at, completed_at, error_message, metadata
FROM restore_jobs
WHERE job_id = :job_id;

-- name: list
-- Restores, newest first; (before_at, before_id) is where the page before ended.
SELECT job_id, backup_id, type, status, started_at, completed_at, error_message, metadata
FROM restore_jobs
WHERE (CAST(:type AS text) IS NULL OR type = :type)
  AND (CAST(:status AS text) IS NULL OR status = :status)
  AND (CAST(:backup_id AS text) IS NULL OR backup_id = :backup_id)
  AND (CAST(:since AS timestamptz) IS NULL OR started_at >= :since)
  AND (CAST(:before_at AS timestamptz) IS NULL OR (started_at, job_id) < (:before_at, :before_id))
ORDER BY started_at DESC NULLS LAST, job_id DESC
LIMIT :limit;

-- name: open_work
-- Restores that have not ended, oldest first.
SELECT job_id, backup_id, type, status, started_at, completed_at, error_message, metadata
FROM restore_jobs
WHERE status IN ('pending', 'running')
ORDER BY started_at, job_id;
