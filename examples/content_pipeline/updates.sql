-- A day's changes: rows whose key hashes below pipeline.threshold (of 2^20), in every big table that is ever updated.
-- Each new value is a function of the key and the seed. The generator sets pipeline.seed and pipeline.threshold before.

CREATE FUNCTION pg_temp.chosen(hash bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hash & 1048575) < current_setting('pipeline.threshold')::bigint;
CREATE FUNCTION pg_temp.seed() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN current_setting('pipeline.seed')::bigint;

UPDATE content.documents
SET title = left(title, 24) || ' ' || md5(pg_temp.seed() || title), updated_at = updated_at + interval '1 hour', word_count = word_count + 1
WHERE pg_temp.chosen(hashint8extended(id, pg_temp.seed()));
UPDATE content.revisions
SET body = overlay(body PLACING md5(pg_temp.seed() || body) FROM 1 + length(body) / 2 FOR 20), note = 'corrected'
WHERE pg_temp.chosen(hashint8extended(id, pg_temp.seed()));
UPDATE content.document_tags SET weight = weight / 2
WHERE pg_temp.chosen(hashint8extended(document_id * 1000 + tag_id, pg_temp.seed()));
UPDATE content.publications SET clicks = clicks + 1 + hashint8(document_id) % 50
WHERE pg_temp.chosen(hashtextextended(document_id || channel, pg_temp.seed()));
UPDATE content.embeddings SET model = 'small-text-3', embedding = (embedding::real[])[33:64] || (embedding::real[])[1:32]
WHERE pg_temp.chosen(hashint8extended(document_id * 1000 + part, pg_temp.seed()));
UPDATE content.media SET exif = jsonb_build_object('camera', 'unknown', 'checked', hashtextextended(id::text, 0))
WHERE pg_temp.chosen(uuid_hash_extended(id, pg_temp.seed()));
UPDATE pipeline.jobs SET state = 'done', attempts = attempts + 1, error = NULL
WHERE pg_temp.chosen(hashint8extended(id, pg_temp.seed()));
UPDATE pipeline.generations SET output = md5(pg_temp.seed() || input) || ' ' || coalesce(output, ''), tokens_out = tokens_out + 8
WHERE pg_temp.chosen(uuid_hash_extended(id, pg_temp.seed()));
