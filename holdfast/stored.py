"""How much the chunks of a repository take, without counting all of them each time somebody looks.

The newest clean-up has counted them when it had pruned, and each backup since says what it added. Before the first clean-up that
is what all backups added. What somebody prunes by hand is seen by the next clean-up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.repository import Manifest, Repository
    from holdfast.repository.backups import Brief


def stored_bytes(repository: Repository, manifests: Iterable[Manifest | Brief]) -> int:
    """Tell how many bytes are stored, of these intact backups and of those that are gone but shared their chunks."""
    counted = repository.cleanups.counted()
    if counted is None:
        return sum(one.stored_bytes for one in manifests)
    return counted.stored_bytes + sum(one.stored_bytes for one in manifests if one.finished_at > counted.at)
