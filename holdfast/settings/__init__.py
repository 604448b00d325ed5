"""Every BACKUP_* variable: typed, described, checked. Nothing slow is imported here."""

from holdfast.settings.loading import load_settings
from holdfast.settings.settings import Settings

__all__ = ["Settings", "load_settings"]
