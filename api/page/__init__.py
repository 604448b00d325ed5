"""The web page at `/`: rendered here, over the same actions as the API, for somebody who knows neither Prefect nor us."""
