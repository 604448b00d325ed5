-- Statistics of a million backups from what they add up to each day, which triggers keep (docs/decisions/0015-totals.md).

CREATE TABLE IF NOT EXISTS backup_totals (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type VARCHAR(50) NOT NULL,
    day TIMESTAMP WITH TIME ZONE NOT NULL,
    completed BIGINT NOT NULL,
    total_bytes NUMERIC NOT NULL,
    sizes BIGINT NOT NULL,
    stored_bytes NUMERIC NOT NULL,
    seconds NUMERIC NOT NULL,
    durations BIGINT NOT NULL
);

COMMENT ON TABLE backup_totals IS
    'What completed backups add up to, by type and day of their start (UTC). A day has as many rows as it was changed, to be summed up.';
COMMENT ON COLUMN backup_totals.sizes IS 'How many of them have a size.';
COMMENT ON COLUMN backup_totals.durations IS 'How many of them have a duration.';

-- Whoever may read the jobs, and so ask for statistics, may read what they add up to.
DO $$
DECLARE
    reader TEXT;
BEGIN
    FOR reader IN
        SELECT DISTINCT CASE held.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(held.grantee)) END
        FROM pg_class, aclexplode(pg_class.relacl) AS held
        WHERE pg_class.oid = 'backup_jobs'::regclass AND held.privilege_type = 'SELECT'
    LOOP
        EXECUTE format('GRANT SELECT ON backup_totals TO %s', reader);
    END LOOP;
END;
$$;

\ir ../functions/backup_totals.sql

DROP TRIGGER IF EXISTS backup_totals_only_follow ON backup_totals;
CREATE TRIGGER backup_totals_only_follow BEFORE INSERT OR UPDATE OR DELETE ON backup_totals
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION backup_totals_only_follow();
DROP TRIGGER IF EXISTS backup_totals_fold ON backup_totals;
CREATE TRIGGER backup_totals_fold AFTER INSERT ON backup_totals
    FOR EACH ROW WHEN (NEW.id % 4096 = 0 AND pg_trigger_depth() = 1) EXECUTE FUNCTION backup_totals_fold();
DROP TRIGGER IF EXISTS backup_totals_anew ON backup_totals;
CREATE TRIGGER backup_totals_anew AFTER TRUNCATE ON backup_totals
    FOR EACH STATEMENT EXECUTE FUNCTION backup_totals_anew();

DROP TRIGGER IF EXISTS backup_totals_come ON backup_jobs;
CREATE TRIGGER backup_totals_come AFTER INSERT ON backup_jobs REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION backup_totals_follow();
DROP TRIGGER IF EXISTS backup_totals_change ON backup_jobs;
CREATE TRIGGER backup_totals_change AFTER UPDATE ON backup_jobs
    FOR EACH ROW
    WHEN ((OLD.status = 'completed' OR NEW.status = 'completed')
          AND (OLD.type, OLD.status, OLD.started_at, OLD.completed_at, OLD.size_bytes, OLD.metadata -> 'storedBytes')
              IS DISTINCT FROM (NEW.type, NEW.status, NEW.started_at, NEW.completed_at, NEW.size_bytes, NEW.metadata -> 'storedBytes'))
    EXECUTE FUNCTION backup_totals_follow();
DROP TRIGGER IF EXISTS backup_totals_go ON backup_jobs;
CREATE TRIGGER backup_totals_go AFTER DELETE ON backup_jobs REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION backup_totals_follow();
DROP TRIGGER IF EXISTS backup_totals_anew ON backup_jobs;
CREATE TRIGGER backup_totals_anew AFTER TRUNCATE ON backup_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION backup_totals_anew();

-- Of the rows that are there: whoever writes waits for as long as this takes.
TRUNCATE backup_totals;

\ir ../functions/get_backup_statistics.sql
