"""Recovery plans, without Prefect: what they are, what their steps do, and how things are judged before anything is done."""
