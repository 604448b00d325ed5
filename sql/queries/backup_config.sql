-- The configuration that is kept in the catalog. Secrets never are.

-- name: all
-- Every key and its value.
SELECT config_key, config_value
FROM backup_config
ORDER BY config_key;

-- name: set
-- Keep a value; a description stays until another is given.
INSERT INTO backup_config AS config (config_key, config_value, description)
VALUES (:config_key, CAST(:config_value AS jsonb), :description)
ON CONFLICT (config_key) DO UPDATE
SET config_value = EXCLUDED.config_value, description = COALESCE(EXCLUDED.description, config.description);
