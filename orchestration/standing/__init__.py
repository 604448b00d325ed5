"""How things stand, also while half of it is down: one document for `holdfast status`, for the HTTP API and for its metrics."""
