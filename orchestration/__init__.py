"""Where the flows meet Prefect: job rows through their whole life, events, artifacts, retries, the local server."""
