-- Recovery plans, the most urgent first, without those that a person removed. NULL for priority or enabled: whatever it is.
CREATE OR REPLACE FUNCTION get_disaster_recovery_plans(priority TEXT DEFAULT NULL, enabled BOOLEAN DEFAULT NULL)
RETURNS SETOF disaster_recovery_plans
LANGUAGE sql STABLE
AS $$
    SELECT plan.*
    FROM disaster_recovery_plans AS plan
    WHERE (get_disaster_recovery_plans.priority IS NULL OR plan.priority = get_disaster_recovery_plans.priority)
      AND (get_disaster_recovery_plans.enabled IS NULL OR plan.enabled = get_disaster_recovery_plans.enabled)
      AND NOT EXISTS (
          SELECT FROM disaster_recovery_plan_options AS further
          WHERE further.plan_id = plan.plan_id AND further.removed_at IS NOT NULL
      )
    ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], plan.priority::text), plan.name, plan.plan_id
$$;

COMMENT ON FUNCTION get_disaster_recovery_plans(TEXT, BOOLEAN) IS 'Recovery plans, the most urgent first; a filter given as NULL does not filter.';
