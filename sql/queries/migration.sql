-- What bringing a catalog up to date asks for.

-- name: present
-- Whether the table exists in which the migrations are counted.
SELECT to_regclass('holdfast_catalog_version') IS NOT NULL;

-- name: version
-- The newest migration that ran here.
SELECT version_num FROM holdfast_catalog_version;

-- name: lock
-- Let one process at a time migrate this database, until its transaction ends. The number is "holdfast" in ASCII.
SELECT pg_advisory_xact_lock(7525352680829580148);

-- name: unchecked
-- Make functions without looking into their bodies: an old migration takes in the newest text of a function, which may name a
-- column that a later migration adds.
SET LOCAL check_function_bodies = off;
