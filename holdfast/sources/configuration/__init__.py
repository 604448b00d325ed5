"""Configuration: environment variables, files, the catalog's settings and Prefect's own objects; read, compared and put back."""
