-- Recovery plans: the guide's row, and beside it what the guide has no column for.

-- name: list
-- Plans that are in force, the most urgent first.
SELECT plan.plan_id, plan.name, plan.description, plan.priority, plan.triggers, plan.steps, plan.estimated_recovery_time,
       plan.last_tested, plan.enabled, plan.updated_at, further.options, further.default_digest
FROM get_disaster_recovery_plans(CAST(:priority AS text), CAST(:enabled AS boolean)) WITH ORDINALITY AS plan
LEFT JOIN disaster_recovery_plan_options AS further ON further.plan_id = plan.plan_id
ORDER BY plan.ordinality;

-- name: find
-- One plan that is in force.
SELECT plan.plan_id, plan.name, plan.description, plan.priority, plan.triggers, plan.steps, plan.estimated_recovery_time,
       plan.last_tested, plan.enabled, plan.updated_at, further.options, further.default_digest
FROM disaster_recovery_plans AS plan
LEFT JOIN disaster_recovery_plan_options AS further ON further.plan_id = plan.plan_id
WHERE plan.plan_id = :plan_id AND further.removed_at IS NULL;

-- name: tests
-- When each plan that is in force was tested last, or made or changed where it never was; also where migrations are still to come.
SELECT plan_id, name, enabled, last_tested, updated_at
FROM get_disaster_recovery_plans();

-- name: removed
-- Plans that a person removed, whether their row is still there or not.
SELECT plan_id
FROM disaster_recovery_plan_options
WHERE removed_at IS NOT NULL
ORDER BY plan_id;

-- name: untouched
-- Whether no plan was ever made or removed here.
SELECT NOT EXISTS (SELECT FROM disaster_recovery_plans)
   AND NOT EXISTS (SELECT FROM disaster_recovery_plan_options) AS untouched;

-- name: put
-- Make a plan's row, or write it over.
INSERT INTO disaster_recovery_plans
    (plan_id, name, description, priority, triggers, steps, estimated_recovery_time, last_tested, enabled)
VALUES
    (:plan_id, :name, :description, :priority, CAST(:triggers AS jsonb), CAST(:steps AS jsonb), :estimated_recovery_time,
     :last_tested, :enabled)
ON CONFLICT (plan_id) DO UPDATE
SET name = EXCLUDED.name, description = EXCLUDED.description, priority = EXCLUDED.priority, triggers = EXCLUDED.triggers,
    steps = EXCLUDED.steps, estimated_recovery_time = EXCLUDED.estimated_recovery_time, last_tested = EXCLUDED.last_tested,
    enabled = EXCLUDED.enabled;

-- name: make
-- Make a plan's row where there is none.
INSERT INTO disaster_recovery_plans
    (plan_id, name, description, priority, triggers, steps, estimated_recovery_time, last_tested, enabled)
VALUES
    (:plan_id, :name, :description, :priority, CAST(:triggers AS jsonb), CAST(:steps AS jsonb), :estimated_recovery_time,
     :last_tested, :enabled)
ON CONFLICT (plan_id) DO NOTHING
RETURNING plan_id;

-- name: put_options
-- Keep what the guide has no column for; the plan is in force from now on. The digest of a default stays until another is given.
INSERT INTO disaster_recovery_plan_options AS further (plan_id, options, default_digest)
VALUES (:plan_id, CAST(:options AS jsonb), CAST(:default_digest AS text))
ON CONFLICT (plan_id) DO UPDATE
SET options = EXCLUDED.options, default_digest = COALESCE(EXCLUDED.default_digest, further.default_digest), removed_at = NULL;

-- name: one_at_a_time
-- Let one who changes several plans work at a time, or two would wait for each other. The number is "recovery" in ASCII.
SELECT pg_advisory_xact_lock(8243104023350440569);

-- name: lock
-- Let nobody else change a plan, or begin an execution of it, until this transaction ends.
SELECT plan_id
FROM disaster_recovery_plans
WHERE plan_id = :plan_id
FOR UPDATE;

-- name: delete
-- Delete a plan that was never executed.
DELETE FROM disaster_recovery_plans AS plan
WHERE plan.plan_id = :plan_id
  AND NOT EXISTS (SELECT FROM disaster_recovery_executions AS execution WHERE execution.plan_id = plan.plan_id);

-- name: retire
-- Let a plan's row stay for the sake of its executions, disabled.
UPDATE disaster_recovery_plans
SET enabled = false
WHERE plan_id = :plan_id;

-- name: note_removed
-- Remember that a person removed a plan.
INSERT INTO disaster_recovery_plan_options (plan_id, removed_at)
VALUES (:plan_id, now())
ON CONFLICT (plan_id) DO UPDATE
SET removed_at = now();

-- name: enable
-- Switch a plan that is in force on or off.
UPDATE disaster_recovery_plans AS plan
SET enabled = :enabled
WHERE plan.plan_id = :plan_id
  AND NOT EXISTS (
      SELECT FROM disaster_recovery_plan_options AS further
      WHERE further.plan_id = plan.plan_id AND further.removed_at IS NOT NULL
  )
RETURNING plan.plan_id;

-- name: note_tested
-- Note when a plan was tested last; an older test that is noted later changes nothing.
UPDATE disaster_recovery_plans
SET last_tested = GREATEST(last_tested, CAST(:at AS timestamptz))
WHERE plan_id = :plan_id
RETURNING plan_id;

-- name: was_removed
-- Whether a person removed this plan.
SELECT plan_id
FROM disaster_recovery_plan_options
WHERE plan_id = :plan_id AND removed_at IS NOT NULL;
