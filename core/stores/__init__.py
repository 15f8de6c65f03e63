"""The stores of a transaction, as the rules see them. ``storage`` fulfils these protocols with SQL, a module each.

All methods are synchronous, take and return core values, and see what the same transaction wrote before.
"""

from datetime import UTC, datetime

#: Before and after everything that an instance does.
EVER = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
