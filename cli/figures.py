"""How the commands tell sizes, times and ratios to a person: as pages and reports do."""

from holdfast.figures import age, count, duration, minute, moment, picture, ratio, share, size, span, until

__all__ = ["age", "count", "duration", "minute", "moment", "picture", "ratio", "share", "size", "span", "until"]
