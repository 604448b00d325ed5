-- A stand-in for the extension supabase_vault 0.3, which PostgreSQL's wheel does not have: the same columns, index, view and
-- functions. Its cipher is none: a value is only turned round, so that reading the table is not reading the value.
CREATE SCHEMA vault;

CREATE TABLE vault.secrets (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text,
    description text NOT NULL DEFAULT '',
    secret text NOT NULL,
    key_id uuid,
    nonce bytea,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX ON vault.secrets (name) WHERE name IS NOT NULL;

CREATE VIEW vault.decrypted_secrets AS
SELECT id, name, description, secret, reverse(secret) AS decrypted_secret, key_id, nonce, created_at, updated_at
  FROM vault.secrets;

CREATE FUNCTION vault.create_secret(
    new_secret text, new_name text DEFAULT NULL, new_description text DEFAULT '', new_key_id uuid DEFAULT NULL
) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    INSERT INTO vault.secrets (secret, name, description, key_id)
    VALUES (reverse(new_secret), new_name, new_description, new_key_id)
    RETURNING id
$$;

CREATE FUNCTION vault.update_secret(
    secret_id uuid, new_secret text DEFAULT NULL, new_name text DEFAULT NULL, new_description text DEFAULT NULL,
    new_key_id uuid DEFAULT NULL
) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    UPDATE vault.secrets
       SET secret = coalesce(reverse(new_secret), secret),
           name = coalesce(new_name, name),
           description = coalesce(new_description, description),
           key_id = coalesce(new_key_id, key_id),
           updated_at = clock_timestamp()
     WHERE id = secret_id
$$;

REVOKE ALL ON FUNCTION vault.create_secret, vault.update_secret FROM PUBLIC;
