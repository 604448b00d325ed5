"""Every BACKUP_* variable: typed, described, checked. Nothing slow is imported here."""

from holdfast.settings.kinds import WORKING_DIRECTORY, working_directory
from holdfast.settings.loading import load_settings
from holdfast.settings.settings import Settings

__all__ = ["WORKING_DIRECTORY", "Settings", "load_settings", "working_directory"]
