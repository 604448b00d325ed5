-- The guide's five functions. What a system made from the guide itself has under these names, with whatever arguments and
-- columns, makes way first: beside it a call would be ambiguous, and a function's columns can't be replaced.

DO $$
DECLARE
    older regprocedure;
BEGIN
    FOR older IN
        SELECT pg_proc.oid FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pg_proc.pronamespace
        WHERE pg_namespace.nspname = current_schema()
          AND pg_proc.proname IN ('get_backup_statistics', 'get_restore_statistics', 'get_disaster_recovery_plans',
                                 'cleanup_backup_data', 'get_backup_dashboard')
    LOOP
        EXECUTE format('DROP ROUTINE %s', older);
    END LOOP;
END;
$$;

\ir ../functions/get_backup_statistics.sql
\ir ../functions/get_restore_statistics.sql
\ir ../functions/get_disaster_recovery_plans.sql
\ir ../functions/cleanup_backup_data.sql
\ir ../functions/get_backup_dashboard.sql
