-- The catalog's whole schema, for a reader and for whoever makes it by hand: psql -f sql/schema.sql. Running it again changes nothing.
-- It is the result of all files in migrations/; a test proves that. Tables and defaults are the guide's,
-- exactly; the tables after them are ours.

-- Tables

CREATE TABLE IF NOT EXISTS backup_config (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    config_key VARCHAR(255) UNIQUE NOT NULL,
    config_value JSONB NOT NULL,
    description TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

CREATE TABLE IF NOT EXISTS backup_jobs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id VARCHAR(255) UNIQUE NOT NULL,
    type VARCHAR(50) NOT NULL CHECK (type IN ('database', 'function', 'config', 'secrets')),
    status VARCHAR(20) NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    started_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    completed_at TIMESTAMP WITH TIME ZONE,
    size_bytes BIGINT,
    checksum VARCHAR(255),
    location TEXT,
    error_message TEXT,
    metadata JSONB DEFAULT '{}'::jsonb,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

CREATE TABLE IF NOT EXISTS restore_jobs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id VARCHAR(255) UNIQUE NOT NULL,
    backup_id VARCHAR(255) NOT NULL,
    type VARCHAR(50) NOT NULL CHECK (type IN ('database', 'function', 'config', 'secrets')),
    status VARCHAR(20) NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    started_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    completed_at TIMESTAMP WITH TIME ZONE,
    error_message TEXT,
    metadata JSONB DEFAULT '{}'::jsonb,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

CREATE TABLE IF NOT EXISTS disaster_recovery_plans (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    plan_id VARCHAR(255) UNIQUE NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    priority VARCHAR(20) NOT NULL CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    triggers JSONB DEFAULT '[]'::jsonb,
    steps JSONB NOT NULL,
    estimated_recovery_time INTEGER,
    last_tested TIMESTAMP WITH TIME ZONE,
    enabled BOOLEAN DEFAULT true,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

CREATE TABLE IF NOT EXISTS disaster_recovery_executions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    execution_id VARCHAR(255) UNIQUE NOT NULL,
    plan_id VARCHAR(255) NOT NULL REFERENCES disaster_recovery_plans(plan_id),
    trigger VARCHAR(255) NOT NULL,
    status VARCHAR(20) NOT NULL CHECK (status IN ('running', 'success', 'failed', 'partial')),
    started_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    completed_at TIMESTAMP WITH TIME ZONE,
    duration_ms INTEGER,
    steps_executed JSONB DEFAULT '[]'::jsonb,
    error_message TEXT,
    metadata JSONB DEFAULT '{}'::jsonb,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

-- Not the guide's: what a plan has beyond its columns, and which plans a person removed.
CREATE TABLE IF NOT EXISTS disaster_recovery_plan_options (
    plan_id VARCHAR(255) PRIMARY KEY,
    options JSONB NOT NULL DEFAULT '{}'::jsonb,
    default_digest VARCHAR(64),
    removed_at TIMESTAMP WITH TIME ZONE
);

COMMENT ON TABLE disaster_recovery_plan_options IS
    'Beside disaster_recovery_plans, with no foreign key: what is known of a plan outlives its row, so that one that was removed stays removed.';
COMMENT ON COLUMN disaster_recovery_plan_options.options IS 'Fields of the plan that the guide has no column for.';
COMMENT ON COLUMN disaster_recovery_plan_options.default_digest IS
    'The digest of the default plan as Holdfast made it; a plan that has another by now was changed by a person.';

-- Not the guide's: jobs that it has no table for, and requests of the HTTP API that are answered once.
CREATE TABLE IF NOT EXISTS maintenance_jobs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id VARCHAR(255) UNIQUE NOT NULL,
    kind VARCHAR(50) NOT NULL,
    type VARCHAR(50) NOT NULL,
    status VARCHAR(20) NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    started_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    completed_at TIMESTAMP WITH TIME ZONE,
    error_message TEXT,
    metadata JSONB DEFAULT '{}'::jsonb,
    document JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

COMMENT ON TABLE maintenance_jobs IS
    'Beside backup_jobs and restore_jobs: verifications, checks, drills, clean-ups, replications, reports, and restores and plans that only looked.';
COMMENT ON COLUMN maintenance_jobs.document IS 'What the job ended with, as the commands tell it.';

CREATE TABLE IF NOT EXISTS api_requests (
    token VARCHAR(255) NOT NULL,
    key VARCHAR(255) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    attempt UUID NOT NULL,
    answer JSONB,
    began_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    PRIMARY KEY (token, key)
);

COMMENT ON TABLE api_requests IS
    'Requests with an Idempotency-Key that changed something at once: one that is repeated within a day is answered as the first time.';
COMMENT ON COLUMN api_requests.digest IS 'Of the action and what was asked: a key belongs to one request.';
COMMENT ON COLUMN api_requests.attempt IS 'Who carries it out: somebody else takes over what has had no answer for a minute.';
COMMENT ON COLUMN api_requests.answer IS 'NULL: it is being carried out.';

CREATE OR REPLACE FUNCTION backup_touch_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION backup_touch_updated_at() IS 'Sets updated_at, whoever changes the row.';

DROP TRIGGER IF EXISTS backup_config_updated_at ON backup_config;
CREATE TRIGGER backup_config_updated_at BEFORE UPDATE ON backup_config
    FOR EACH ROW EXECUTE FUNCTION backup_touch_updated_at();

DROP TRIGGER IF EXISTS backup_jobs_updated_at ON backup_jobs;
CREATE TRIGGER backup_jobs_updated_at BEFORE UPDATE ON backup_jobs
    FOR EACH ROW EXECUTE FUNCTION backup_touch_updated_at();

DROP TRIGGER IF EXISTS restore_jobs_updated_at ON restore_jobs;
CREATE TRIGGER restore_jobs_updated_at BEFORE UPDATE ON restore_jobs
    FOR EACH ROW EXECUTE FUNCTION backup_touch_updated_at();

DROP TRIGGER IF EXISTS disaster_recovery_plans_updated_at ON disaster_recovery_plans;
CREATE TRIGGER disaster_recovery_plans_updated_at BEFORE UPDATE ON disaster_recovery_plans
    FOR EACH ROW EXECUTE FUNCTION backup_touch_updated_at();

DROP TRIGGER IF EXISTS maintenance_jobs_updated_at ON maintenance_jobs;
CREATE TRIGGER maintenance_jobs_updated_at BEFORE UPDATE ON maintenance_jobs
    FOR EACH ROW EXECUTE FUNCTION backup_touch_updated_at();

-- Indexes

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
-- What somebody else has noted as storedBytes and is no whole number. Statistics look first whether there is any: mostly there is
-- none, and then a number costs less than half as much to read.
CREATE INDEX IF NOT EXISTS backup_jobs_odd_stored_bytes
    ON backup_jobs (job_id)
    WHERE (metadata ->> 'storedBytes') IS NOT NULL
      AND (jsonb_typeof(metadata -> 'storedBytes') <> 'number' OR (metadata ->> 'storedBytes') !~ '^[0-9]{1,18}$');

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

CREATE INDEX IF NOT EXISTS maintenance_jobs_newest
    ON maintenance_jobs (started_at DESC NULLS LAST, job_id DESC);
CREATE INDEX IF NOT EXISTS maintenance_jobs_newest_of_kind
    ON maintenance_jobs (kind, started_at DESC NULLS LAST, job_id DESC);
CREATE INDEX IF NOT EXISTS maintenance_jobs_newest_of_type
    ON maintenance_jobs (type, started_at DESC NULLS LAST, job_id DESC);
CREATE INDEX IF NOT EXISTS maintenance_jobs_newest_of_kind_and_type
    ON maintenance_jobs (kind, type, started_at DESC NULLS LAST, job_id DESC);
CREATE INDEX IF NOT EXISTS maintenance_jobs_not_completed
    ON maintenance_jobs (status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS maintenance_jobs_not_completed_of_kind
    ON maintenance_jobs (kind, status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS maintenance_jobs_not_completed_of_type
    ON maintenance_jobs (type, status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS maintenance_jobs_ended
    ON maintenance_jobs (status, (COALESCE(completed_at, started_at)));

CREATE INDEX IF NOT EXISTS backup_jobs_not_completed_of_type
    ON backup_jobs (type, status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS restore_jobs_not_completed_of_type
    ON restore_jobs (type, status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS api_requests_began ON api_requests (began_at);

-- The audit log: lines that are only ever added, each with the digest of the one before it (docs/audit.md).

CREATE TABLE IF NOT EXISTS audit_chains (
    chain VARCHAR(32) PRIMARY KEY,
    began_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    goes_on BOOLEAN NOT NULL DEFAULT true
);

COMMENT ON TABLE audit_chains IS
    'The chains whose lines are here: the one that goes on, and those that were read from a repository after a loss.';

CREATE UNIQUE INDEX IF NOT EXISTS audit_chains_one_goes_on ON audit_chains (goes_on) WHERE goes_on;

CREATE TABLE IF NOT EXISTS audit_log (
    chain VARCHAR(32) NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence > 0),
    digest VARCHAR(64) NOT NULL,
    line TEXT NOT NULL,
    entry_id TEXT COLLATE "C" UNIQUE GENERATED ALWAYS AS (line::jsonb ->> 'id') STORED,
    at TEXT COLLATE "C" GENERATED ALWAYS AS (line::jsonb ->> 'at') STORED,
    actor TEXT COLLATE "C" GENERATED ALWAYS AS (line::jsonb -> 'actor' ->> 'name') STORED,
    action TEXT COLLATE "C" GENERATED ALWAYS AS (line::jsonb ->> 'action') STORED,
    subject TEXT COLLATE "C" GENERATED ALWAYS AS (line::jsonb ->> 'subject') STORED,
    outcome TEXT COLLATE "C" GENERATED ALWAYS AS (line::jsonb ->> 'outcome') STORED,
    PRIMARY KEY (chain, sequence)
);

COMMENT ON TABLE audit_log IS 'Who did what, when, from where and with what outcome. Nothing here is changed or deleted.';
COMMENT ON COLUMN audit_log.line IS 'The line as canonical JSON: all that it says, with the digest of the line before it.';
COMMENT ON COLUMN audit_log.digest IS 'SHA-256 of the line, in hex.';

-- Lists, newest first: of everything, of one actor, action or subject. Times are text of one width, which sorts as they do.
CREATE INDEX IF NOT EXISTS audit_log_newest ON audit_log (at DESC, chain DESC, sequence DESC);
CREATE INDEX IF NOT EXISTS audit_log_newest_of_actor ON audit_log (actor, at DESC, chain DESC, sequence DESC);
CREATE INDEX IF NOT EXISTS audit_log_newest_of_action ON audit_log (action, at DESC, chain DESC, sequence DESC);
CREATE INDEX IF NOT EXISTS audit_log_newest_of_subject ON audit_log (subject, at DESC, chain DESC, sequence DESC);

CREATE OR REPLACE FUNCTION audit_log_only_grows() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END;
$$;

COMMENT ON FUNCTION audit_log_only_grows() IS 'Refuses to change or delete lines of the audit log, whoever asks.';

DROP TRIGGER IF EXISTS audit_log_only_grows ON audit_log;
CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();

CREATE TABLE IF NOT EXISTS audit_mirrors (
    repository_id VARCHAR(32) NOT NULL,
    chain VARCHAR(32) NOT NULL,
    first_sequence BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    mirrored_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    PRIMARY KEY (repository_id, chain)
);

COMMENT ON TABLE audit_mirrors IS 'The newest object of each chain that a repository was given: what comes after it is not mirrored yet.';

-- Functions

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
        COALESCE(done.count, 0) + COALESCE(other.count, 0),
        COALESCE(done.count, 0),
        COALESCE(other.failed, 0),
        COALESCE(other.cancelled, 0),
        COALESCE(other.running, 0),
        COALESCE(other.pending, 0),
        ROUND(100.0 * COALESCE(done.count, 0) / NULLIF(COALESCE(done.count, 0) + COALESCE(other.failed, 0), 0), 2),
        COALESCE(done.total_bytes, 0)::bigint,
        COALESCE(done.stored_bytes, 0)::bigint,
        ROUND(done.total_bytes / NULLIF(done.sizes, 0))::bigint,
        ROUND((EXTRACT(EPOCH FROM done.duration) / NULLIF(done.durations, 0))::numeric, 3),
        success.ended_at,
        failure.ended_at
    FROM (VALUES (1, 'database'), (2, 'function'), (3, 'config'), (4, 'secrets')) AS kind (place, type)
    LEFT JOIN (
        -- Of each row as little is made as there can be, for there may be a million: sums are of completed ones alone, and
        -- storedBytes is read the short way where the index of odd ones is empty.
        SELECT
            each.type,
            COUNT(*) AS count,
            SUM(each.size_bytes) AS total_bytes,
            COUNT(each.size_bytes) AS sizes,
            SUM(CASE
                WHEN (SELECT COUNT(*) FROM backup_jobs AS odd
                      WHERE (odd.metadata ->> 'storedBytes') IS NOT NULL
                        AND (jsonb_typeof(odd.metadata -> 'storedBytes') <> 'number'
                             OR (odd.metadata ->> 'storedBytes') !~ '^[0-9]{1,18}$')) = 0
                THEN (each.metadata ->> 'storedBytes')::bigint
                WHEN jsonb_typeof(each.metadata -> 'storedBytes') = 'number'
                THEN (each.metadata -> 'storedBytes')::numeric
            END) AS stored_bytes,
            SUM(each.completed_at - each.started_at) AS duration,
            COUNT(each.completed_at) AS durations
        FROM backup_jobs AS each
        WHERE each.status = 'completed'
          AND each.started_at >= COALESCE(now() - make_interval(days => get_backup_statistics.days_back), '-infinity')
        GROUP BY each.type
    ) AS done ON done.type = kind.type
    LEFT JOIN (
        SELECT
            job.type,
            COUNT(*) AS count,
            COUNT(*) FILTER (WHERE job.status = 'failed') AS failed,
            COUNT(*) FILTER (WHERE job.status = 'cancelled') AS cancelled,
            COUNT(*) FILTER (WHERE job.status = 'running') AS running,
            COUNT(*) FILTER (WHERE job.status = 'pending') AS pending
        FROM backup_jobs AS job
        WHERE job.status <> 'completed'
          AND job.started_at >= COALESCE(now() - make_interval(days => get_backup_statistics.days_back), '-infinity')
        GROUP BY job.type
    ) AS other ON other.type = kind.type
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

-- Restores of the last days, one row a type, also for a type that has none. NULL days: of all time.
-- success_rate is the percentage of completed among completed and failed. last_success and last_failure look back beyond the days.
CREATE OR REPLACE FUNCTION get_restore_statistics(days_back INTEGER DEFAULT 30)
RETURNS TABLE (
    type TEXT,
    total BIGINT,
    completed BIGINT,
    failed BIGINT,
    cancelled BIGINT,
    running BIGINT,
    pending BIGINT,
    success_rate NUMERIC,
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
            SUM(job.duration) FILTER (WHERE job.status = 'completed') AS duration,
            SUM(job.durations) FILTER (WHERE job.status = 'completed') AS durations
        FROM (
            -- By type and status first: of each row as little is made as there can be, for there may be a million.
            SELECT
                each.type,
                each.status,
                COUNT(*) AS count,
                SUM(each.completed_at - each.started_at) AS duration,
                COUNT(each.completed_at - each.started_at) AS durations
            FROM restore_jobs AS each
            WHERE each.started_at >= COALESCE(now() - make_interval(days => get_restore_statistics.days_back), '-infinity')
            GROUP BY each.type, each.status
        ) AS job
        GROUP BY job.type
    ) AS jobs ON jobs.type = kind.type
    LEFT JOIN LATERAL (
        SELECT COALESCE(job.completed_at, job.started_at) AS ended_at
        FROM restore_jobs AS job
        WHERE job.type = kind.type AND job.status = 'completed'
        ORDER BY COALESCE(job.completed_at, job.started_at) DESC NULLS LAST
        LIMIT 1
    ) AS success ON true
    LEFT JOIN LATERAL (
        SELECT COALESCE(job.completed_at, job.started_at) AS ended_at
        FROM restore_jobs AS job
        WHERE job.type = kind.type AND job.status = 'failed'
        ORDER BY COALESCE(job.completed_at, job.started_at) DESC NULLS LAST
        LIMIT 1
    ) AS failure ON true
    ORDER BY kind.place
$$;

COMMENT ON FUNCTION get_restore_statistics(INTEGER) IS 'Restores of the last days, one row a type; NULL: of all time.';

-- Recovery plans, the most urgent first, without those that a person removed. NULL for priority or enabled: whatever it is.
CREATE OR REPLACE FUNCTION get_disaster_recovery_plans(priority TEXT DEFAULT NULL, enabled BOOLEAN DEFAULT NULL)
RETURNS SETOF disaster_recovery_plans
LANGUAGE sql STABLE
AS $$
    SELECT plan.*
    FROM disaster_recovery_plans AS plan
    WHERE (get_disaster_recovery_plans.priority IS NULL OR plan.priority = get_disaster_recovery_plans.priority)
      AND (get_disaster_recovery_plans.enabled IS NULL OR plan.enabled = get_disaster_recovery_plans.enabled)
      AND NOT EXISTS (
          SELECT FROM disaster_recovery_plan_options AS further
          WHERE further.plan_id = plan.plan_id AND further.removed_at IS NOT NULL
      )
    ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], plan.priority::text), plan.name, plan.plan_id
$$;

COMMENT ON FUNCTION get_disaster_recovery_plans(TEXT, BOOLEAN) IS 'Recovery plans, the most urgent first; a filter given as NULL does not filter.';

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
