"""Recovery plans with Prefect: how an execution runs, waits and is recorded, and what starts it."""
