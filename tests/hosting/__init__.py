"""How Holdfast is hosted: what lies in deployments/, and the API beside a Prefect server of one's own."""
