"""The names of all objects in a repository, in one place; docs/repository-format.md lists them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from holdfast.jobs import checked_job_id

DESCRIPTION = "repository.json"
KEYS = "keys"
CHUNKS = "chunks"
MANIFESTS = "manifests"
PROOFS = "proofs"
LEASES = "leases"
DAMAGED = "damaged"
PRUNE = "prune"
PINS = "pins"
CLEANUPS = "cleanups"
CHECKS = "checks"
READ_PARTS = "checks/parts"
AUDIT = "audit"

BACKUP_TYPES = ("database", "function", "config", "secrets")

_TIME = "%Y%m%dT%H%M%S.%fZ"
_CHUNK = re.compile(r"chunks/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_KEY = re.compile(r"keys/([0-9a-f]{16})\.json")
_DAMAGED = re.compile(r"damaged/([0-9a-f]{64})/[^/]+")
_MANIFEST = re.compile(r"manifests/([a-z]+)/([A-Za-z0-9_-]{1,200})")
_PIN = re.compile(r"pins/([A-Za-z0-9_-]{1,200})")
_CLEANUP = re.compile(r"cleanups/([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)(-done)?")
_AUDIT = re.compile(r"audit/([0-9a-f]{32})/([0-9]{12})-([0-9]{12})")
_PROOF = re.compile(r"proofs/([A-Za-z0-9_-]{1,200})/([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)")


def chunk(chunk_id: bytes) -> str:
    text = chunk_id.hex()
    return f"{CHUNKS}/{text[:2]}/{text}"


def chunk_id(name: str) -> bytes | None:
    """Return the chunk's id when this is the name of one."""
    match = _CHUNK.fullmatch(name)
    return bytes.fromhex(match[2]) if match else None


def key(key_id: str) -> str:
    return f"{KEYS}/{key_id}.json"


def key_id(name: str) -> str | None:
    match = _KEY.fullmatch(name)
    return match[1] if match else None


def manifest(backup_type: str, backup_id: str) -> str:
    return f"{MANIFESTS}/{backup_type}/{checked_job_id(backup_id)}"


def manifest_parts(name: str) -> tuple[str, str] | None:
    """Return type and backup id when this is the name of a manifest."""
    match = _MANIFEST.fullmatch(name)
    return (match[1], match[2]) if match else None


def proofs(backup_id: str) -> str:
    return f"{PROOFS}/{checked_job_id(backup_id)}"


def proof(backup_id: str, moment: datetime) -> str:
    return f"{proofs(backup_id)}/{_time(moment)}"


def proof_backup(name: str) -> str | None:
    """Return the backup id when this is the name of a proof."""
    match = _PROOF.fullmatch(name)
    return match[1] if match else None


def lease(lease_id: str) -> str:
    return f"{LEASES}/{lease_id}"


def damaged(chunk_id: bytes, moment: datetime) -> str:
    return aside(chunk(chunk_id), moment)


def damaged_chunk(name: str) -> bytes | None:
    """Return the chunk's id when this is the name of a chunk set aside."""
    match = _DAMAGED.fullmatch(name)
    return bytes.fromhex(match[1]) if match else None


def aside_folder(name: str) -> str:
    """Where what is found of a damaged object is kept: by its id where it is a chunk, else by its name with dots for slashes."""
    found = chunk_id(name)
    return f"{DAMAGED}/{found.hex() if found is not None else name.replace('/', '.')}"


def aside(name: str, moment: datetime) -> str:
    return f"{aside_folder(name)}/{_time(moment)}"


def needed_by_all(name: str) -> bool:
    """Tell whether no backup can be read without it: repository.json and the key files."""
    return name == DESCRIPTION or key_id(name) is not None


def prune(moment: datetime) -> str:
    return f"{PRUNE}/{_time(moment)}"


def pin(backup_id: str) -> str:
    return f"{PINS}/{checked_job_id(backup_id)}"


def pin_backup(name: str) -> str | None:
    """Return the backup id when this is the name of a pin."""
    match = _PIN.fullmatch(name)
    return match[1] if match else None


def cleanup(moment: datetime) -> str:
    return f"{CLEANUPS}/{_time(moment)}"


def cleanup_done(plan: str) -> str:
    """Return the name of what was done of the clean-up whose plan has this name."""
    return f"{plan}-done"


def cleanup_time(name: str) -> datetime | None:
    """Return the time of the plan when this is the name of one, or of what was done of it."""
    match = _CLEANUP.fullmatch(name)
    try:
        return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC) if match else None
    except ValueError:  # digits that are no time
        return None


def audit_chain(chain: str) -> str:
    return f"{AUDIT}/{chain}"


def audit(chain: str, first: int, last: int) -> str:
    return f"{audit_chain(chain)}/{first:012}-{last:012}"


def audit_parts(name: str) -> tuple[str, int, int] | None:
    """Return the chain with first and last line when this is the name of lines of the audit log."""
    match = _AUDIT.fullmatch(name)
    return (match[1], int(match[2]), int(match[3])) if match else None


def _time(moment: datetime) -> str:
    """A time as a part of a name: of fixed width, so that names sort by time."""
    return moment.astimezone(UTC).strftime(_TIME)
