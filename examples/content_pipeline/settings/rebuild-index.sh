#!/bin/sh
# Asks the search index to be built again; run by cron.
exec curl --fail --silent "$FUNCTIONS_URL/search-index"
