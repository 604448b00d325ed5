"""Copying what is not sealed into a replica: key files, then repository.json.

Key files are the one thing that changes. A key that is added is copied, a key that is removed is removed at the replica too. But
whoever can only write to the source must not be able to take the replica's keys away, nor to bring a removed key back. So a
removal is believed when the master key vouches for it, and is never undone.
"""

from __future__ import annotations

from holdfast.errors import DamagedError, NotFoundError, ObjectExistsError, ObjectLockedError, ObjectNotFoundError, RefusedError
from holdfast.repository import names
from holdfast.repository.description import Description, read_description
from holdfast.repository.keyfile import KeyFile
from holdfast.repository.masterkey import MasterKey
from holdfast.repository.proven import FILE_BYTES_MAX, read_bounded
from holdfast.repository.report import ReplicationReport
from holdfast.storage import Storage
from holdfast.storage.probe import put_first


class FileCopy:
    """Copies the key files and repository.json of one repository."""

    def __init__(
        self, source: Storage, target: Storage, description: Description, master: MasterKey | None, report: ReplicationReport
    ) -> None:
        self._source = source
        self._target = target
        self._description = description
        self._master = master
        self._report = report

    def run(self) -> None:
        """Copy what differs. Raises RefusedError where repository.json differs and nobody can tell which is right."""
        for info in self._source.list(names.KEYS):
            if names.key_id(info.name) is not None:
                self._key_file(info.name)
        self._repository_json()
        self._target.sync()

    def _key_file(self, name: str) -> None:
        try:
            stored = read_bounded(self._source, name, FILE_BYTES_MAX)
            mine = self._parsed(name, stored)
        except ObjectNotFoundError:
            return
        except ValueError as error:
            self._report.add_problem(f"{name} was not copied: it is damaged at the source: {error}")
            return
        if mine is None:
            return
        theirs_stored, theirs = self._at_target(name)
        if theirs_stored == stored:
            self._report.present_objects += 1
        elif theirs is None:
            self._put(name, stored, replace=theirs_stored is not None)
        elif mine.state == "removed" and theirs.state == "active" and self._master is not None:
            self._put(name, stored, replace=True)
        elif mine.state == "removed" and theirs.state == "active":
            self._report.add_problem(
                f"{name} was removed at the source and still opens the target: without the key nobody can tell a removal from a "
                "forgery; replicate once with the key"
            )
        elif mine.state == theirs.state == "removed":
            self._report.present_objects += 1
        elif mine.state == "active" and theirs.state == "removed":
            self._report.add_problem(f"{name} was removed, as the target knows, and is back at the source; the removal stands")
        else:
            self._report.add_problem(
                f"{name} differs between source and target, and without the key nobody can tell which is right"
            )

    def _at_target(self, name: str) -> tuple[bytes | None, KeyFile | None]:
        """Read the target's file: its bytes, and what it says where it is right."""
        try:
            stored = read_bounded(self._target, name, FILE_BYTES_MAX)
        except ObjectNotFoundError:
            return None, None
        except ValueError:
            return b"", None
        try:
            return stored, self._parsed(name, stored)
        except ValueError:
            return stored, None

    def _parsed(self, name: str, stored: bytes) -> KeyFile | None:
        """Read a key file; None for one that a creation left behind that never ended. Raises ValueError."""
        file = KeyFile.from_bytes(stored, str(names.key_id(name)))
        if file.repository_id != self._description.id:
            return None
        if self._master is not None and not file.is_authentic(self._master):
            raise ValueError("it was changed by somebody who has no key")
        return file

    def _repository_json(self) -> None:
        expected = self._description.to_bytes()
        try:
            found = read_description(self._target)
        except (NotFoundError, DamagedError):
            self._put(names.DESCRIPTION, expected, replace=self._target.head(names.DESCRIPTION) is not None)
            return
        if found == self._description:
            self._report.present_objects += 1
        elif self._master is not None:
            self._put(names.DESCRIPTION, expected, replace=True)
        else:
            raise RefusedError(
                f"{names.DESCRIPTION} differs between {self._source.location} and {self._target.location}",
                reason="both are readable, and without the key nobody can tell which of them was tampered with",
                next_step="Replicate with the key, which tells",
            )

    def _put(self, name: str, stored: bytes, *, replace: bool) -> None:
        """Put one, and read it back: without these nothing at the target can ever be read."""
        try:
            if name == names.DESCRIPTION and not replace:
                put_first(self._target, name, stored)
            else:
                self._target.put(name, stored, replace=replace)
        except ObjectExistsError:
            if self._at_target(name)[0] == stored:
                return
            self._target.put(name, stored, replace=True)
        except ObjectLockedError as error:
            self._report.add_problem(f"{name} can't be replaced at the target: {error}")
            return
        if self._at_target(name)[0] != stored:
            self._report.add_problem(f"{name}: the target does not give back what was put there")
            return
        self._report.copied_objects += 1
        self._report.copied_bytes += len(stored)
