-- The same statistics from fewer steps a row, and by several processes of the server where it has them: for a million rows.

\ir ../functions/get_backup_statistics.sql
\ir ../functions/get_restore_statistics.sql
