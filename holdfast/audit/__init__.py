"""The audit log: who did what, when, from where, and with what outcome, in a chain that shows what was changed in it."""

from holdfast.audit.book import AuditBook
from holdfast.audit.chain import Line
from holdfast.audit.entry import Actor, Entry, Outcome

__all__ = ["Actor", "AuditBook", "Entry", "Line", "Outcome"]
