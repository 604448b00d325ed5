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
