-- The life of a row in disaster_recovery_executions: running, then ended once; resumed, it runs again.

-- name: open
-- Make the row, or let it run again.
INSERT INTO disaster_recovery_executions AS execution
    (execution_id, plan_id, trigger, status, started_at, steps_executed, metadata)
VALUES (:execution_id, :plan_id, :trigger, 'running', :started_at, CAST(:steps AS jsonb), CAST(:metadata AS jsonb))
ON CONFLICT (execution_id) DO UPDATE
SET status = 'running', completed_at = NULL, duration_ms = NULL, error_message = NULL,
    steps_executed = EXCLUDED.steps_executed, metadata = EXCLUDED.metadata
RETURNING execution_id;

-- name: note
-- Write how far it is.
UPDATE disaster_recovery_executions
SET steps_executed = CAST(:steps AS jsonb), metadata = CAST(:metadata AS jsonb)
WHERE execution_id = :execution_id AND status = 'running'
RETURNING execution_id;

-- name: close
-- End it, once. It never ends before it started, whatever two clocks say.
UPDATE disaster_recovery_executions
SET status = :status, completed_at = GREATEST(CAST(:completed_at AS timestamptz), started_at), duration_ms = :duration_ms,
    error_message = :error_message, steps_executed = CAST(:steps AS jsonb), metadata = CAST(:metadata AS jsonb)
WHERE execution_id = :execution_id AND status = 'running'
RETURNING execution_id;

-- name: get
-- One execution.
SELECT execution_id, plan_id, trigger, status, started_at, completed_at, steps_executed, error_message, metadata
FROM disaster_recovery_executions
WHERE execution_id = :execution_id;

-- name: of_flow_run
-- The newest execution of a flow run.
SELECT execution_id, plan_id, trigger, status, started_at, completed_at, steps_executed, error_message, metadata
FROM disaster_recovery_executions
WHERE metadata ->> 'flowRunId' = :flow_run_id
ORDER BY started_at DESC
LIMIT 1;

-- name: list
-- Executions, newest first; (before_at, before_id) is where the page before ended.
SELECT execution_id, plan_id, trigger, status, started_at, completed_at, steps_executed, error_message, metadata
FROM disaster_recovery_executions
WHERE (CAST(:plan_id AS text) IS NULL OR plan_id = :plan_id)
  AND (CAST(:status AS text) IS NULL OR status = :status)
  AND (CAST(:since AS timestamptz) IS NULL OR started_at >= :since)
  AND (CAST(:before_at AS timestamptz) IS NULL OR (started_at, execution_id) < (:before_at, :before_id))
ORDER BY started_at DESC NULLS LAST, execution_id DESC
LIMIT :limit;

-- name: open_work
-- Executions that have not ended, oldest first.
SELECT execution_id, plan_id, trigger, status, started_at, completed_at, steps_executed, error_message, metadata
FROM disaster_recovery_executions
WHERE status = 'running'
ORDER BY started_at, execution_id;
