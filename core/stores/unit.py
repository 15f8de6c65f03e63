"""One transaction with its stores."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Protocol

from core.ahead import Ahead
from core.counts import Happening
from core.stores.backlog import Backlog
from core.stores.boosts import Boosts
from core.stores.communities import Communities
from core.stores.copies import Copies
from core.stores.folds import Folds
from core.stores.intake import Intake
from core.stores.lanes import Lanes
from core.stores.leases import LeaseRows
from core.stores.media import Media
from core.stores.notices import Notices
from core.stores.outbox import Outbox
from core.stores.people import People
from core.stores.placing import Placing
from core.stores.posts import Posts
from core.stores.reports import Reports
from core.stores.sight import Sight
from core.stores.timelines import Timelines
from core.stores.tries import Tries
from core.stores.votes import Votes
from core.types import ChatId, Platform, PostId


class Unit(Protocol):
    now: datetime
    #: Posts to be counted anew before the commit; of those in ``voted`` only the votes, as no guest acted on them.
    touched: set[PostId]
    voted: set[PostId]
    woken: set[ChatId]
    #: What is counted once it is committed.
    happened: Counter[tuple[Platform, Happening]]

    @property
    def people(self) -> People: ...
    @property
    def communities(self) -> Communities: ...
    @property
    def posts(self) -> Posts: ...
    @property
    def timelines(self) -> Timelines: ...
    @property
    def boosts(self) -> Boosts: ...
    @property
    def reports(self) -> Reports: ...
    @property
    def votes(self) -> Votes: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def lanes(self) -> Lanes: ...
    @property
    def copies(self) -> Copies: ...
    @property
    def tries(self) -> Tries: ...
    @property
    def notices(self) -> Notices: ...
    @property
    def folds(self) -> Folds: ...
    @property
    def media(self) -> Media: ...
    @property
    def intake(self) -> Intake: ...
    @property
    def sight(self) -> Sight: ...
    @property
    def placing(self) -> Placing: ...
    @property
    def backlog(self) -> Backlog: ...
    @property
    def leases(self) -> LeaseRows: ...

    def new_id(self) -> int:
        """A new id, greater than every earlier one of this process. Raises ``RuntimeError`` in a reader."""
        ...

    def savepoint(self, name: str, /) -> None: ...
    def release(self, name: str, /) -> None:
        """The newest savepoint of that name ends: what was done since stays."""
        ...

    def undo(self, name: str) -> None:
        """Back to the savepoint, which ends with it."""
        ...

    def read_ahead(self, ahead: Ahead) -> None:
        """Reads what a batch will ask for, where that saves something."""
        ...

    def write(self) -> None:
        """Writes what waits to be written together, so that what the database has to say of it is said here."""
        ...
