"""Every error that a user of Holdfast can meet.

    HoldfastError
     ├─ WorkFailedError          exit 1   the work itself failed
     │   ├─ ToolFailedError               pg_dump, pg_restore or psql ended with an error
     │   ├─ TimeLimitError                the work did not end in its time (also a TimeoutError)
     │   ├─ StorageFullError              no space is left where backups are kept
     │   ├─ LeaseLostError                our lease ended while we worked, so nothing was committed
     │   ├─ TableLockedError              another session kept a table locked for too long
     │   ├─ ReplicationFailedError        a replica could not be brought up to date; the others were
     │   ├─ BackupsFailedError            of several backups at once at least one failed; the others are made
     │   ├─ NotifyingFailedError          no channel, or not every channel that had to, took a message
     │   ├─ CleanupFailedError            a clean-up could not carry out all of its plan; the rest is done
     │   ├─ RecoveryFailedError           an execution of a recovery plan did not reach its end
     │   ├─ ServiceFailedError            a managed service could not be started, stopped or restarted, or is not healthy
     │   ├─ MigrationDiffersError         what a data migration brought to its destination is not what the source holds
     │   └─ SourceFailedError             a service that is backed up or restored to refused the work or answered nonsense
     ├─ SettingsError            exit 2   a setting or an argument is wrong or missing
     │   ├─ KeyMissingError               encryption is on and there is no key
     │   ├─ WrongKeyError                 the key opens none of the repository's key files
     │   ├─ AccessDeniedError             the database refuses the user, or a right that the work needs
     │   ├─ StorageDeniedError            the storage refuses our credentials, or a right that the work needs
     │   ├─ SourceDeniedError             what is backed up can't be read, or restored to, with our rights
     │   ├─ PlanInvalidError              a recovery plan can't be carried out as it is written
     │   ├─ RequestInvalidError           a request of the HTTP API can't be understood
     │   ├─ RequestTooLargeError          a request of the HTTP API is longer than it may be, or comes too slowly
     │   └─ TokenInvalidError             a request of the HTTP API shows no token that is valid now
     ├─ NotFoundError            exit 3   a backup, job, key or table of that name does not exist
     │   ├─ ObjectNotFoundError           storage has no object of that name
     │   └─ CatalogMissingError           the database is there, and the catalog's tables are not
     ├─ RefusedError             exit 4   refused for safety; nothing was changed
     │   ├─ TargetNotEmptyError           a restore would land on something that exists
     │   ├─ TargetTooOldError             the target server is older than the source was
     │   ├─ LastKeyError                  the last usable key can't be removed
     │   ├─ ObjectExistsError             storage already has an object of that name
     │   ├─ ObjectLockedError             the object may not be changed or deleted before a time
     │   ├─ ExtensionMissingError         the target server lacks an extension that the backup needs
     │   ├─ LocaleMissingError            the target server lacks the source's locale or encoding
     │   ├─ RolesMissingError             the target server lacks roles, and we may not make them
     │   ├─ SourceEmptyError              the source holds nothing, and a backup of nothing was not allowed
     │   ├─ UnsafePathError               a path in a backup or an answer would leave the folder that it belongs in
     │   ├─ ApprovalNeededError           an execution waits for a person's approval
     │   ├─ ApprovalDeniedError           a person refused an execution
     │   ├─ ScopeMissingError             a token does not allow what was asked
     │   ├─ OutsideRefusedError           a request from elsewhere, where no token protects the HTTP API
     │   ├─ KeyReusedError                an Idempotency-Key was used before for something else
     │   └─ PlanNotAllowedError           a plan from the HTTP API holds what only an operator of the host may say
     ├─ DamagedError             exit 5   stored data is damaged, or could not be proven
     │   ├─ KeyFileDamagedError           a key file in the repository is damaged
     │   ├─ NotProvenError                what was restored differs from the source
     │   ├─ VerificationFailedError       a backup did not pass its verification; the proof says so
     │   ├─ CheckFailedError              a check of the stored backups found damage
     │   ├─ DrillFailedError              a restore drill did not bring every backup back as it was
     │   └─ AuditBrokenError              a line of the audit log was changed, or is missing
     ├─ BusyError                exit 6   somebody else holds the lease
     │   ├─ StillAtWorkError              the same request is being carried out at this moment
     │   ├─ TooManyFailuresError          too many requests without a valid token came from one address
     │   └─ OverloadedError               the HTTP API has as much to do as it takes on, or is being stopped
     └─ UnreachableError         exit 7   storage, database or server does not answer; worth a retry
         ├─ StorageUnreachableError
         ├─ DatabaseUnreachableError
         │   └─ SnapshotLostError         the source's snapshot is gone; only another run can succeed
         ├─ SourceUnreachableError        a service that is backed up or restored to does not answer
         ├─ PrefectUnreachableError
         └─ ApiClosedError                the HTTP API can't tell who may ask, and so lets nobody in

A message says what happened and to what, `reason` why, and `next_step` what to do now. A `code` is stable: once given it is
never reused for another error. Errors of other libraries are wrapped where they enter, with `raise ... from`.
No message may hold a password or key.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process's exit status means; documented in docs/cli.md."""

    DONE = 0
    WORK_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    DAMAGED = 5
    BUSY = 6
    UNREACHABLE = 7


class HoldfastError(Exception):
    """Any failure that Holdfast foresees; the base of all others."""

    code: ClassVar[str] = "HF-000"
    exit_code: ClassVar[ExitCode] = ExitCode.WORK_FAILED
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, reason: str | None = None, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.next_step = next_step

    @property
    def what_and_why(self) -> str:
        """The error without what to do now: for a list of problems, or as the reason of another error."""
        return f"{self.message}: {self.reason}" if self.reason else self.message

    def __str__(self) -> str:
        text = self.what_and_why
        if self.next_step:
            text += f". {self.next_step}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        """Let an error cross a process or task boundary whole."""
        return (_rebuild, (type(self), self.message, self.reason, self.next_step))


def _rebuild(kind: type[HoldfastError], message: str, reason: str | None, next_step: str | None) -> HoldfastError:
    return kind(message, reason=reason, next_step=next_step)


class WorkFailedError(HoldfastError):
    """The work was tried and failed."""

    code = "HF-100"


class ToolFailedError(WorkFailedError):
    """A PostgreSQL tool ended with an error, or a server refused what it wrote; the reason holds their last words."""

    code = "HF-101"


class TimeLimitError(WorkFailedError, TimeoutError):
    """The work did not end within its time limit and was stopped, its child processes too."""

    code = "HF-102"
    retryable = True


class StorageFullError(WorkFailedError):
    """There is no space left where backups are kept; earlier backups are intact."""

    code = "HF-103"


class LeaseLostError(WorkFailedError):
    """The lease ended while the work went on (a long pause, a stopped machine), so the work was not committed."""

    code = "HF-104"
    retryable = True


class TableLockedError(WorkFailedError):
    """Another session kept a table locked for longer than the lock time-out; the message names the table and the session."""

    code = "HF-105"
    retryable = True


class ReplicationFailedError(WorkFailedError):
    """At least one replica could not be brought up to date; `found` is the replication's document, with what was done."""

    code = "HF-106"
    found: dict[str, object] | None = None


class BackupsFailedError(WorkFailedError):
    """Of several backups at once at least one failed; `found` are the documents of all, the good ones too."""

    code = "HF-108"
    found: list[dict[str, object]] | None = None


class NotifyingFailedError(WorkFailedError):
    """A message that had to arrive was taken by no channel, or not by every channel that had to; the reason names each."""

    code = "HF-109"


class CleanupFailedError(WorkFailedError):
    """A clean-up could not carry out all of its plan; `found` is its document, with what was done and what was not."""

    code = "HF-110"
    found: dict[str, object] | None = None


class SourceFailedError(WorkFailedError):
    """A service that is backed up or restored to refused the work, or answered what can't be understood; the message names it."""

    code = "HF-107"


class RecoveryFailedError(WorkFailedError):
    """An execution of a recovery plan did not reach its end; `found` is its document, the steps that were done too."""

    code = "HF-111"
    found: dict[str, object] | None = None


class ServiceFailedError(WorkFailedError):
    """A managed service could not be started, stopped or restarted, or did not become healthy."""

    code = "HF-112"


class MigrationDiffersError(WorkFailedError):
    """What a data migration brought to its destination is not what the source holds."""

    code = "HF-113"


class SettingsError(HoldfastError):
    """A setting or argument is wrong; the message names it, its problem and what is allowed."""

    code = "HF-200"
    exit_code = ExitCode.USAGE


class KeyMissingError(SettingsError):
    """The repository is encrypted, or would be, and no key was given."""

    code = "HF-201"


class WrongKeyError(SettingsError):
    """The key that was given opens none of the repository's key files."""

    code = "HF-202"


class AccessDeniedError(SettingsError):
    """The database refuses the user, its password, or a right that the work needs; the message names which."""

    code = "HF-203"


class StorageDeniedError(SettingsError):
    """The storage refuses our credentials (wrong, expired) or a right that the work needs; the message names the object."""

    code = "HF-204"


class SourceDeniedError(SettingsError):
    """A file, folder or service that is backed up or restored to refuses us; the message names it and the right it takes."""

    code = "HF-205"


class PlanInvalidError(SettingsError):
    """A recovery plan can't be carried out as it is written; the reason names all that is wrong with it."""

    code = "HF-206"


class RequestInvalidError(SettingsError):
    """A request of the HTTP API can't be understood, or names a field that does not exist; `fields` says what of it, and why."""

    code = "HF-207"

    def __init__(
        self, message: str, *, reason: str | None = None, next_step: str | None = None, fields: dict[str, str] | None = None
    ) -> None:
        super().__init__(message, reason=reason, next_step=next_step)
        self.fields = fields or {}


class RequestTooLargeError(SettingsError):
    """The body of a request is longer than it may be, or did not arrive in time."""

    code = "HF-208"


class TokenInvalidError(SettingsError):
    """No token came with a request, or one that does not exist, has expired or was revoked: which of these is not said."""

    code = "HF-209"


class NotFoundError(HoldfastError):
    """What was asked for does not exist."""

    code = "HF-300"
    exit_code = ExitCode.NOT_FOUND


class ObjectNotFoundError(NotFoundError):
    """Storage has no object of this name."""

    code = "HF-301"


class CatalogMissingError(NotFoundError):
    """The catalog's database answers, and its tables are not there: nobody can say what does not exist."""

    code = "HF-302"


class RefusedError(HoldfastError):
    """Doing this could lose something, so it was not begun."""

    code = "HF-400"
    exit_code = ExitCode.REFUSED


class TargetNotEmptyError(RefusedError):
    """The target of a restore exists and holds something."""

    code = "HF-401"


class TargetTooOldError(RefusedError):
    """The target server's major version is lower than the source's was."""

    code = "HF-402"


class LastKeyError(RefusedError):
    """Without this key nothing in the repository could ever be read again."""

    code = "HF-403"


class ObjectExistsError(RefusedError):
    """Storage already has an object of this name, and putting was asked to be put-if-absent."""

    code = "HF-404"


class ObjectLockedError(RefusedError):
    """The storage keeps this object from being changed or deleted for some time yet."""

    code = "HF-408"


class ExtensionMissingError(RefusedError):
    """The target server has not installed an extension that the backup's schema needs."""

    code = "HF-405"


class LocaleMissingError(RefusedError):
    """The target server can't make a database with the source's encoding and locale."""

    code = "HF-406"


class RolesMissingError(RefusedError):
    """Roles that own or may use the restored things are missing on the target, and we may not make them."""

    code = "HF-407"


class SourceEmptyError(RefusedError):
    """The source holds nothing: a backup of it would look good, and bring nothing back."""

    code = "HF-409"


class UnsafePathError(RefusedError):
    """A path would leave the folder that it belongs in; the message names it."""

    code = "HF-410"


class ApprovalNeededError(RefusedError):
    """An execution waits for a person's approval, and nobody gave it; nothing live was changed."""

    code = "HF-411"
    found: dict[str, object] | None = None


class ApprovalDeniedError(RefusedError):
    """A person refused an execution; nothing live was changed."""

    code = "HF-412"


class ScopeMissingError(RefusedError):
    """The token is valid, and lacks the scope that this takes; the message names it."""

    code = "HF-413"


class OutsideRefusedError(RefusedError):
    """No token is configured, so only this machine may ask, and a request came from elsewhere, by a proxy or from a web page."""

    code = "HF-414"


class KeyReusedError(RefusedError):
    """An Idempotency-Key was used before, and for another request."""

    code = "HF-415"


class PlanNotAllowedError(RefusedError):
    """A plan that came by the HTTP API would run a command, read or write a file, or reach an address that no block defines."""

    code = "HF-416"
    fields: dict[str, str] | None = None


class DamagedError(HoldfastError):
    """Stored data is missing, changed, or can't be proven; the message names the object."""

    code = "HF-500"
    exit_code = ExitCode.DAMAGED


class KeyFileDamagedError(DamagedError):
    """A key file of the repository can't be read as one (not: the key is wrong)."""

    code = "HF-501"


class NotProvenError(DamagedError):
    """What was restored is not what the source held when it was backed up."""

    code = "HF-502"


class VerificationFailedError(DamagedError):
    """A backup did not pass its verification; `found` is the verification's document, with all problems."""

    code = "HF-503"
    found: dict[str, object] | None = None


class CheckFailedError(DamagedError):
    """A check of the stored backups found damage; `found` is its document, which names the backups that are bad."""

    code = "HF-504"
    found: dict[str, object] | None = None


class DrillFailedError(DamagedError):
    """A restore drill did not bring every backup back as it was; `found` is its document, the good types too."""

    code = "HF-505"
    found: dict[str, object] | None = None


class AuditBrokenError(DamagedError):
    """The audit log is not what was written: a line was changed, is missing, or was put in; the message names the first one."""

    code = "HF-506"


class BusyError(HoldfastError):
    """Another run holds a lease that excludes this one; the message says who and since when."""

    code = "HF-600"
    exit_code = ExitCode.BUSY
    retryable = True


class StillAtWorkError(BusyError):
    """A request with the same Idempotency-Key is being carried out at this moment; ask again for its answer."""

    code = "HF-601"


class TooManyFailuresError(BusyError):
    """Too many requests without a valid token came from one address within a minute."""

    code = "HF-602"
    retry_after_seconds: int = 60


class OverloadedError(BusyError):
    """The HTTP API has as much to do as it takes on, or is being stopped; the same request can be sent again in a while."""

    code = "HF-603"


class UnreachableError(HoldfastError):
    """Something outside this process does not answer."""

    code = "HF-700"
    exit_code = ExitCode.UNREACHABLE
    retryable = True


class StorageUnreachableError(UnreachableError):
    """Storage does not answer, or refuses us for now."""

    code = "HF-701"


class DatabaseUnreachableError(UnreachableError):
    """A database does not accept the connection."""

    code = "HF-702"


class SnapshotLostError(DatabaseUnreachableError):
    """The connection that held the source's snapshot was lost, so this run can't go on; another can."""

    code = "HF-704"
    retryable = False


class SourceUnreachableError(UnreachableError):
    """A service that is backed up or restored to does not answer, or asks us to come back later."""

    code = "HF-705"


class PrefectUnreachableError(UnreachableError):
    """The Prefect server does not answer."""

    code = "HF-703"


class ApiClosedError(UnreachableError):
    """The HTTP API can't read its tokens, or its settings, and so lets nobody in; its log says why."""

    code = "HF-706"
