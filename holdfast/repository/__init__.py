"""All that is kept: format 1, described in docs/repository-format.md, which is changed before this code is."""

from holdfast.repository.backups import BackupSummary
from holdfast.repository.check import check_storage
from holdfast.repository.checks import ReadParts
from holdfast.repository.cleanups import CleanupRecord
from holdfast.repository.compression import Compression
from holdfast.repository.founding import repair_description
from holdfast.repository.intake import Readable
from holdfast.repository.keyring import KeyInfo, KeyRing
from holdfast.repository.lease import Lease, LeaseInfo
from holdfast.repository.manifest import BackupType, Entry, Manifest, ManifestDraft, Root
from holdfast.repository.pins import Pin
from holdfast.repository.proof import LEVELS, Level, Proof
from holdfast.repository.prune import PruneReport
from holdfast.repository.replicate import replicate
from holdfast.repository.report import BackupCopy, CheckLevel, CheckReport, Healed, Problem, ReplicationReport
from holdfast.repository.repository import Repository
from holdfast.repository.spares import SparedObject
from holdfast.repository.userkey import UserKey
from holdfast.repository.writer import BackupWriter

__all__ = [
    "LEVELS",
    "BackupCopy",
    "BackupSummary",
    "BackupType",
    "BackupWriter",
    "CheckLevel",
    "CheckReport",
    "CleanupRecord",
    "Compression",
    "Entry",
    "Healed",
    "KeyInfo",
    "KeyRing",
    "Lease",
    "LeaseInfo",
    "Level",
    "Manifest",
    "ManifestDraft",
    "Pin",
    "Problem",
    "Proof",
    "PruneReport",
    "ReadParts",
    "Readable",
    "ReplicationReport",
    "Repository",
    "Root",
    "SparedObject",
    "UserKey",
    "check_storage",
    "repair_description",
    "replicate",
]
