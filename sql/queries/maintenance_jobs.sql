-- The life of a row in maintenance_jobs, as in backup_jobs.

-- name: announce
-- Make the row of a job whose run waits for its turn; one that has begun meanwhile has made it already.
INSERT INTO maintenance_jobs (job_id, kind, type, status, metadata)
VALUES (:job_id, :kind, :type, 'pending', CAST(:metadata AS jsonb))
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id;

-- name: open
-- Make the row, pending. A run that is tried again under its id opens its row again, unless it is completed.
INSERT INTO maintenance_jobs AS job (job_id, kind, type, status, started_at, metadata)
VALUES (:job_id, :kind, :type, 'pending', COALESCE(CAST(:at AS timestamptz), now()), CAST(:metadata AS jsonb))
ON CONFLICT (job_id) DO UPDATE
SET status = 'pending', started_at = EXCLUDED.started_at, completed_at = NULL, error_message = NULL, document = NULL,
    metadata = (COALESCE(job.metadata, '{}') - 'presumedDead') || EXCLUDED.metadata
WHERE job.status <> 'completed'
RETURNING job_id;

-- name: start
-- Say that the work runs. The time is the first start's.
UPDATE maintenance_jobs
SET started_at = CASE WHEN status = 'pending' THEN COALESCE(CAST(:at AS timestamptz), now()) ELSE started_at END,
    status = 'running', metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id AND status IN ('pending', 'running')
RETURNING job_id;

-- name: note
-- Add to the metadata.
UPDATE maintenance_jobs
SET metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id
RETURNING job_id;

-- name: close
-- End the job, once. It never ends before it started, whatever two clocks say.
UPDATE maintenance_jobs
SET status = :status, completed_at = GREATEST(COALESCE(CAST(:at AS timestamptz), now()), started_at),
    error_message = :error_message, document = CAST(:document AS jsonb),
    metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id AND status IN ('pending', 'running')
RETURNING job_id;

-- name: get
-- One job.
SELECT job_id, kind, type, status, started_at, completed_at, error_message, metadata, document
FROM maintenance_jobs
WHERE job_id = :job_id;

-- name: list
-- Jobs, newest first, without their documents; (before_at, before_id) is where the page before ended.
SELECT job_id, kind, type, status, started_at, completed_at, error_message, metadata, NULL AS document
FROM maintenance_jobs
WHERE (CAST(:kind AS text) IS NULL OR kind = :kind)
  AND (CAST(:type AS text) IS NULL OR type = :type)
  AND (CAST(:status AS text) IS NULL OR status = :status)
  AND (CAST(:since AS timestamptz) IS NULL OR started_at >= :since)
  AND (CAST(:before_at AS timestamptz) IS NULL OR (started_at, job_id) < (:before_at, :before_id))
ORDER BY started_at DESC NULLS LAST, job_id DESC
LIMIT :limit;

-- name: open_work
-- Jobs that have not ended, oldest first.
SELECT job_id, kind, type, status, started_at, completed_at, error_message, metadata, document
FROM maintenance_jobs
WHERE status IN ('pending', 'running')
ORDER BY started_at, job_id;

-- name: cleanup
-- Delete rows of work that ended long ago.
DELETE FROM maintenance_jobs
WHERE (status = 'completed' AND COALESCE(completed_at, started_at) < now() - make_interval(days => :days))
   OR (status IN ('failed', 'cancelled') AND COALESCE(completed_at, started_at) < now() - make_interval(days => :failed_days))
RETURNING job_id;
