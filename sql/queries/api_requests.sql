-- Requests that are answered once. One that has had no answer for a minute died: whoever repeats it takes it over.

-- name: begin
-- Make the request one's own, where it is new, or its former attempt died; no row: it is another's, or it is answered.
INSERT INTO api_requests AS request (token, key, digest, attempt)
VALUES (:token, :key, :digest, CAST(:attempt AS uuid))
ON CONFLICT (token, key) DO UPDATE
SET digest = EXCLUDED.digest, attempt = EXCLUDED.attempt, answer = NULL, began_at = now()
WHERE request.began_at < now() - make_interval(hours => :kept_hours)
   OR (request.answer IS NULL AND request.digest = EXCLUDED.digest
       AND request.began_at < now() - make_interval(secs => :dead_seconds))
RETURNING attempt;

-- name: get
-- What is known of a request.
SELECT digest, answer
FROM api_requests
WHERE token = :token AND key = :key;

-- name: answer
-- Keep the answer, unless somebody else took the request over.
UPDATE api_requests
SET answer = CAST(:answer AS jsonb)
WHERE token = :token AND key = :key AND attempt = CAST(:attempt AS uuid)
RETURNING key;

-- name: forget
-- Let a request that ended with an error be tried again.
DELETE FROM api_requests
WHERE token = :token AND key = :key AND attempt = CAST(:attempt AS uuid) AND answer IS NULL
RETURNING key;

-- name: cleanup
-- Delete what nobody can repeat any more.
DELETE FROM api_requests
WHERE began_at < now() - make_interval(hours => :kept_hours)
RETURNING key;
