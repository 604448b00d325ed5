-- The audit log: lines are added one after the other, and never changed.

-- name: lock
-- Let one writer at a time add lines, until its transaction ends. The number is "hf-audit" in ASCII.
SELECT pg_advisory_xact_lock(7522750124173584756);

-- name: lock_mirror
-- Let one process at a time mirror, until its transaction ends; false where another does. The number is "hfmirror" in ASCII.
SELECT pg_try_advisory_xact_lock(7522820527228088178);

-- name: give_up_soon
-- Have what waits for a lock or for the server end soon, for this transaction.
SET LOCAL lock_timeout = '3s';

-- name: head
-- The chain that goes on, with its last line where it has one.
SELECT chains.chain, COALESCE(last_line.sequence, 0) AS sequence, last_line.digest
FROM audit_chains AS chains
LEFT JOIN LATERAL (
    SELECT sequence, digest FROM audit_log WHERE audit_log.chain = chains.chain ORDER BY sequence DESC LIMIT 1
) AS last_line ON true
WHERE chains.goes_on;

-- name: begin
-- Let a new chain go on.
INSERT INTO audit_chains (chain) VALUES (:chain);

-- name: end
-- Let no chain go on.
UPDATE audit_chains SET goes_on = false WHERE goes_on;

-- name: adopt
-- Know of a chain that was begun elsewhere.
INSERT INTO audit_chains (chain, goes_on) VALUES (:chain, false) ON CONFLICT (chain) DO NOTHING;

-- name: known
-- Which of these entries have a line.
SELECT entry_id FROM audit_log WHERE entry_id = ANY (CAST(:ids AS text[]));

-- name: add
-- Add a line.
INSERT INTO audit_log (chain, sequence, digest, line) VALUES (:chain, :sequence, :digest, :line);

-- name: list
-- Lines, newest first; (before_at, before_chain, before_sequence) is where the page before ended.
SELECT chain, sequence, digest, line
FROM audit_log
WHERE (CAST(:since AS text) IS NULL OR at >= :since)
  AND (CAST(:actor AS text) IS NULL OR actor = :actor)
  AND (CAST(:action AS text) IS NULL OR action = :action)
  AND (CAST(:subject AS text) IS NULL OR subject = :subject)
  AND (CAST(:before_at AS text) IS NULL OR (at, chain, sequence) < (:before_at, :before_chain, CAST(:before_sequence AS bigint)))
ORDER BY at DESC, chain DESC, sequence DESC
LIMIT :limit;

-- name: chains
-- The chains that are known, in the order in which they were.
SELECT chain, goes_on FROM audit_chains ORDER BY goes_on, began_at, chain;

-- name: stray_chains
-- Chains of which there are lines, and which are known no more.
SELECT DISTINCT chain FROM audit_log WHERE chain NOT IN (SELECT chain FROM audit_chains) ORDER BY chain;

-- name: lines
-- Lines of a chain after one of them, in order.
SELECT chain, sequence, digest, line
FROM audit_log
WHERE chain = :chain AND sequence > :after
ORDER BY sequence
LIMIT :limit;

-- name: columns_that_differ
-- Lines whose columns, by which they are found, say something else than they do: somebody changed the table itself.
SELECT sequence FROM audit_log
WHERE chain = :chain
  AND (entry_id, at, actor, action, subject, outcome) IS DISTINCT FROM (
      line::jsonb ->> 'id', line::jsonb ->> 'at', line::jsonb -> 'actor' ->> 'name',
      line::jsonb ->> 'action', line::jsonb ->> 'subject', line::jsonb ->> 'outcome')
ORDER BY sequence LIMIT 1;

-- name: mirrored
-- The newest object of a chain that a repository was given.
SELECT first_sequence, last_sequence FROM audit_mirrors WHERE repository_id = :repository_id AND chain = :chain;

-- name: note_mirrored
-- Write down the newest object of a chain that a repository was given.
INSERT INTO audit_mirrors AS mirror (repository_id, chain, first_sequence, last_sequence)
VALUES (:repository_id, :chain, :first, :last)
ON CONFLICT (repository_id, chain) DO UPDATE
SET first_sequence = EXCLUDED.first_sequence, last_sequence = EXCLUDED.last_sequence, mirrored_at = now();
