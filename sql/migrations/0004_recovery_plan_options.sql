-- What a recovery plan has beyond the guide's columns, which are a contract; and plans that a person removed, which stay removed.

CREATE TABLE IF NOT EXISTS disaster_recovery_plan_options (
    plan_id VARCHAR(255) PRIMARY KEY,
    options JSONB NOT NULL DEFAULT '{}'::jsonb,
    default_digest VARCHAR(64),
    removed_at TIMESTAMP WITH TIME ZONE
);

COMMENT ON TABLE disaster_recovery_plan_options IS
    'Beside disaster_recovery_plans, with no foreign key: what is known of a plan outlives its row, so that one that was removed stays removed.';
COMMENT ON COLUMN disaster_recovery_plan_options.options IS 'Fields of the plan that the guide has no column for.';
COMMENT ON COLUMN disaster_recovery_plan_options.default_digest IS
    'The digest of the default plan as Holdfast made it; a plan that has another by now was changed by a person.';

\ir ../functions/get_disaster_recovery_plans.sql
