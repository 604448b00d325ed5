"""The server processes that stand in for S3, Azure and Google Cloud Storage; `tests.storage.servers` starts them."""
