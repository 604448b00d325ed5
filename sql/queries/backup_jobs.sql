-- The life of a row in backup_jobs. Every change is guarded by the status that it starts from, so that two processes that look
-- at one job can't both change it. A NULL filter does not filter.

-- name: announce
-- Make the row of a job whose run waits for its turn; one that has begun meanwhile has made it already.
INSERT INTO backup_jobs (job_id, type, status, metadata)
VALUES (:job_id, :type, 'pending', CAST(:metadata AS jsonb))
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id;

-- name: open
-- Make the row, pending. A run that is tried again under its id opens its row again, unless it is completed.
INSERT INTO backup_jobs AS job (job_id, type, status, started_at, metadata)
VALUES (:job_id, :type, 'pending', COALESCE(CAST(:at AS timestamptz), now()), CAST(:metadata AS jsonb))
ON CONFLICT (job_id) DO UPDATE
SET status = 'pending', started_at = EXCLUDED.started_at, completed_at = NULL, error_message = NULL,
    metadata = (COALESCE(job.metadata, '{}') - 'presumedDead') || EXCLUDED.metadata
WHERE job.status <> 'completed'
RETURNING job_id;

-- name: start
-- Say that the work runs. The time is the first start's.
UPDATE backup_jobs
SET started_at = CASE WHEN status = 'pending' THEN COALESCE(CAST(:at AS timestamptz), now()) ELSE started_at END,
    status = 'running', metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id AND status IN ('pending', 'running')
RETURNING job_id;

-- name: note
-- Add to the metadata, of an ended job too: a later verification notes its level.
UPDATE backup_jobs
SET metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id
RETURNING job_id;

-- name: close
-- End the job, once. It never ends before it started, whatever two clocks say.
UPDATE backup_jobs
SET status = :status, completed_at = GREATEST(COALESCE(CAST(:at AS timestamptz), now()), started_at),
    size_bytes = COALESCE(:size_bytes, size_bytes), checksum = COALESCE(:checksum, checksum),
    location = COALESCE(:location, location), error_message = :error_message,
    metadata = COALESCE(metadata, '{}') || CAST(:metadata AS jsonb)
WHERE job_id = :job_id AND status IN ('pending', 'running')
RETURNING job_id;

-- name: get
-- One job.
SELECT job_id, type, status, started_at, completed_at, size_bytes, checksum, location, error_message, metadata
FROM backup_jobs
WHERE job_id = :job_id;

-- name: list
-- Jobs, newest first; (before_at, before_id) is where the page before ended.
SELECT job_id, type, status, started_at, completed_at, size_bytes, checksum, location, error_message, metadata
FROM backup_jobs
WHERE (CAST(:type AS text) IS NULL OR type = :type)
  AND (CAST(:status AS text) IS NULL OR status = :status)
  AND (CAST(:since AS timestamptz) IS NULL OR started_at >= :since)
  AND (CAST(:before_at AS timestamptz) IS NULL OR (started_at, job_id) < (:before_at, :before_id))
ORDER BY started_at DESC NULLS LAST, job_id DESC
LIMIT :limit;

-- name: open_work
-- Jobs that have not ended, oldest first.
SELECT job_id, type, status, started_at, completed_at, size_bytes, checksum, location, error_message, metadata
FROM backup_jobs
WHERE status IN ('pending', 'running')
ORDER BY started_at, job_id;

-- name: unmirrored
-- Of these backups, the ones without a row, or whose row was closed by another run that took theirs for dead.
SELECT wanted.job_id
FROM unnest(CAST(:job_ids AS text[])) AS wanted (job_id)
LEFT JOIN backup_jobs AS job ON job.job_id = wanted.job_id
WHERE job.job_id IS NULL OR (job.status = 'failed' AND job.metadata -> 'presumedDead' = 'true');

-- name: mirror
-- Write the row of a backup that the repository holds. A row is put right only where another run took its run for dead.
INSERT INTO backup_jobs AS job (job_id, type, status, started_at, completed_at, size_bytes, checksum, location, metadata)
VALUES (:job_id, :type, 'completed', :started_at, :completed_at, :size_bytes, :checksum, :location, CAST(:metadata AS jsonb))
ON CONFLICT (job_id) DO UPDATE
SET status = 'completed', started_at = EXCLUDED.started_at, completed_at = EXCLUDED.completed_at, size_bytes = EXCLUDED.size_bytes,
    checksum = EXCLUDED.checksum, location = EXCLUDED.location, error_message = NULL,
    metadata = (job.metadata - 'presumedDead') || EXCLUDED.metadata
WHERE job.status = 'failed' AND job.metadata -> 'presumedDead' = 'true'
RETURNING job_id;
