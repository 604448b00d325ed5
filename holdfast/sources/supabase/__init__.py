"""A Supabase project, as its Management API shows it: Edge Functions, their sources, and the names and digests of secrets."""

from holdfast.sources.supabase.answers import FunctionInfo, SecretDigest
from holdfast.sources.supabase.client import ManagementApi
from holdfast.sources.supabase.multipart import ApiFile, FunctionBody

__all__ = ["ApiFile", "FunctionBody", "FunctionInfo", "ManagementApi", "SecretDigest"]
