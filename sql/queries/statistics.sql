-- The guide's functions of statistics and clean-up, called. Their columns are described in sql/functions/.

-- name: backup_statistics
-- Backups of the last days, one row a type.
SELECT * FROM get_backup_statistics(:days_back);

-- name: restore_statistics
-- Restores of the last days, one row a type.
SELECT * FROM get_restore_statistics(:days_back);

-- name: cleanup
-- Delete rows of work that ended long ago.
SELECT * FROM cleanup_backup_data(:backup_days, :restore_days, :execution_days, :failed_days);

-- name: dashboard
-- How things stand now, one row a type.
SELECT * FROM get_backup_dashboard();
