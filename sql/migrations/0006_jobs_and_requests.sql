-- Jobs that the guide has no table for, requests of the HTTP API that are answered once, and what its lists of jobs need.

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

DROP TRIGGER IF EXISTS maintenance_jobs_updated_at ON maintenance_jobs;
CREATE TRIGGER maintenance_jobs_updated_at BEFORE UPDATE ON maintenance_jobs
    FOR EACH ROW EXECUTE FUNCTION backup_touch_updated_at();

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

-- Lists of one type that did not complete.
CREATE INDEX IF NOT EXISTS backup_jobs_not_completed_of_type
    ON backup_jobs (type, status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS restore_jobs_not_completed_of_type
    ON restore_jobs (type, status, started_at DESC NULLS LAST, job_id DESC) WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS api_requests_began ON api_requests (began_at);
