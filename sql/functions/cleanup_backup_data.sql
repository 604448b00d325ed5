-- Delete rows of work that ended long ago, and tell how many of each kind. One rule a row: completed jobs go after backup_days or
-- restore_days, failed and cancelled ones of both tables after failed_days, executions after execution_days.
-- Pending and running work is never deleted, however old. NULL days: nothing of that kind is deleted.
-- Only rows go. Backups themselves are in the repository, and whether they are kept is not decided here.
CREATE OR REPLACE FUNCTION cleanup_backup_data(
    backup_days INTEGER DEFAULT 90,
    restore_days INTEGER DEFAULT 90,
    execution_days INTEGER DEFAULT 180,
    failed_days INTEGER DEFAULT 30
)
RETURNS TABLE (
    deleted_backup_jobs BIGINT,
    deleted_restore_jobs BIGINT,
    deleted_executions BIGINT,
    deleted_failed_jobs BIGINT
)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    kinds CONSTANT TEXT[] := ARRAY['database', 'function', 'config', 'secrets'];  -- all of them: lets the index be used
    failed_restore_jobs BIGINT;
BEGIN
    IF LEAST(backup_days, restore_days, execution_days, failed_days) < 0 THEN
        RAISE EXCEPTION 'cleanup_backup_data: days must not be negative' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    DELETE FROM backup_jobs AS job
    WHERE job.type = ANY (kinds) AND job.status = 'completed'
      AND COALESCE(job.completed_at, job.started_at) < now() - make_interval(days => backup_days);
    GET DIAGNOSTICS deleted_backup_jobs = ROW_COUNT;

    DELETE FROM restore_jobs AS job
    WHERE job.type = ANY (kinds) AND job.status = 'completed'
      AND COALESCE(job.completed_at, job.started_at) < now() - make_interval(days => restore_days);
    GET DIAGNOSTICS deleted_restore_jobs = ROW_COUNT;

    DELETE FROM disaster_recovery_executions AS execution
    WHERE execution.status <> 'running'
      AND COALESCE(execution.completed_at, execution.started_at) < now() - make_interval(days => execution_days);
    GET DIAGNOSTICS deleted_executions = ROW_COUNT;

    DELETE FROM backup_jobs AS job
    WHERE job.type = ANY (kinds) AND job.status IN ('failed', 'cancelled')
      AND COALESCE(job.completed_at, job.started_at) < now() - make_interval(days => failed_days);
    GET DIAGNOSTICS deleted_failed_jobs = ROW_COUNT;

    DELETE FROM restore_jobs AS job
    WHERE job.type = ANY (kinds) AND job.status IN ('failed', 'cancelled')
      AND COALESCE(job.completed_at, job.started_at) < now() - make_interval(days => failed_days);
    GET DIAGNOSTICS failed_restore_jobs = ROW_COUNT;

    deleted_failed_jobs := deleted_failed_jobs + failed_restore_jobs;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION cleanup_backup_data(INTEGER, INTEGER, INTEGER, INTEGER) IS
    'Deletes rows of work that ended so many days ago, never of open work; tells how many of each kind.';
