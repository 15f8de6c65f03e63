"""The stores of a transaction, as the rules see them. ``storage`` fulfils these protocols with SQL.

All methods are synchronous, take and return core values, and see what the same transaction wrote before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from core.ahead import Ahead
from core.counts import Happening
from core.records import (
    Account,
    Blob,
    Chat,
    ChatState,
    Code,
    Community,
    Copy,
    CopyState,
    Delivery,
    Doubt,
    DoubtRow,
    Enclosure,
    Foremost,
    Load,
    Look,
    LostRoom,
    Member,
    Mirror,
    Notice,
    Parked,
    Post,
    Relay,
    Revision,
    Signal,
    Stock,
    Try,
    Vote,
)
from core.types import (
    AccountId,
    AccountRef,
    ChatId,
    ChatRef,
    CommunityId,
    Feed,
    MemberId,
    Platform,
    PostId,
    ThingId,
    ThingKind,
    Visibility,
)

#: Before and after everything that an instance does.
EVER = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class People(Protocol):
    """Members, their accounts, one-time codes and who follows what."""

    def account(self, ref: AccountRef) -> Account | None: ...

    def account_by_id(self, account: AccountId) -> Account:
        """Raises ``LookupError``."""
        ...

    def accounts_of(self, member: MemberId) -> list[Account]: ...

    def add_account(
        self, account: AccountId, ref: AccountRef, name: str, username: str, locale: str, now: datetime
    ) -> None: ...

    def rename_account(self, account: AccountId, name: str, username: str, locale: str) -> None: ...

    def bind(self, account: AccountId, member: MemberId | None) -> None: ...

    def set_private_chat(self, account: AccountId, chat: ChatId | None) -> None: ...

    def set_opted_out(self, account: AccountId, flag: bool) -> None: ...

    def member(self, member: MemberId) -> Member:
        """Raises ``LookupError``."""
        ...

    def members(self, ids: list[MemberId]) -> dict[MemberId, Member]: ...

    def by_handle(self, handle: str) -> Member | None: ...

    def starting(self, prefix: str) -> list[Member]: ...

    def handle_like(self, handle: str, skeleton: str) -> str | None:
        """A handle that is the same or could be taken for it, also one of a merged member."""
        ...

    def add_member(
        self, member: MemberId, handle: str, skeleton: str, language: str, name: str, now: datetime
    ) -> None: ...

    def keep_handle(self, handle: str, skeleton: str, member: MemberId, until: datetime) -> None:
        """A handle that its member gave up is nobody else's before then."""
        ...

    def release_handle(self, handle: str) -> None:
        """Its member takes it again."""
        ...

    def kept_for(self, member: MemberId, now: datetime) -> list[datetime]:
        """Until when each handle is kept for this member, the soonest first."""
        ...

    def kept_until(
        self, handle: str, skeleton: str, but_for: MemberId | None, now: datetime
    ) -> datetime | None:
        """Until when this handle, or one that could be taken for it, is kept for somebody else."""
        ...

    def clean_handles(self, before: datetime) -> None: ...

    def rename_member(self, member: MemberId, handle: str, skeleton: str) -> None: ...

    def show_name(self, member: MemberId, shown: bool, name: str) -> None: ...

    def count_post(self, member: MemberId) -> None: ...

    def merge(self, loser: MemberId, winner: MemberId) -> None:
        """Accounts move; the loser's row stays, so that its handle is never given to somebody else."""
        ...

    def add_code(self, code: Code) -> None: ...

    def drop_codes(self, account: AccountId, purpose: str) -> None: ...

    def code(self, hash_: str) -> Code | None: ...

    def claimed_code(self, account: AccountId) -> Code | None: ...

    def code_claimed_by(self, account: AccountId) -> Code | None:
        """The open code that this account typed and has not said yes to."""
        ...

    def agree_to_code(self, hash_: str) -> None:
        """The side that typed the code said yes."""
        ...

    def move_claim(self, hash_: str, chat: ChatId, handle: str) -> None:
        """Where the side that typed the code can be answered now."""
        ...

    def claim_code(self, hash_: str, by: AccountId, chat: ChatId, handle: str) -> None: ...

    def use_code(self, hash_: str) -> None: ...

    def clean_codes(self, before: datetime) -> None: ...

    def failures(self, account: AccountId, after: datetime) -> int: ...

    def add_failure(self, account: AccountId, now: datetime, after: datetime) -> None: ...

    def follow(self, member: MemberId, feed: Feed, now: datetime) -> bool:
        """Whether it is new."""
        ...

    def unfollow(self, member: MemberId, feed: Feed) -> bool:
        """Whether there was something to end."""
        ...

    def unfollow_all(self, member: MemberId) -> None: ...

    def follows(self, member: MemberId) -> list[Feed]: ...


class Communities(Protocol):
    """Communities, their chats, what those mirror, and who is banned."""

    def community(self, community: CommunityId) -> Community:
        """Raises ``LookupError``."""
        ...

    def by_slug(self, slug: str) -> Community | None: ...

    def all(self) -> list[Community]: ...

    def add(
        self, community: CommunityId, slug: str, title: str, hold_seconds: int, doubt: Doubt, now: datetime
    ) -> None: ...

    def set_doubt(self, community: CommunityId, doubt: Doubt) -> None: ...

    def set_hold(self, community: CommunityId, seconds: int) -> None:
        """How long its members' posts wait before they travel."""
        ...

    def set_paused(self, community: CommunityId, flag: bool) -> None: ...

    def chat(self, ref: ChatRef) -> Chat | None: ...

    def chat_by_id(self, chat: ChatId) -> Chat:
        """Raises ``LookupError``."""
        ...

    def chats_by_id(self, ids: list[ChatId]) -> dict[ChatId, Chat]: ...

    def chats_of(self, community: CommunityId) -> list[Chat]: ...

    def count_chats(self, community: CommunityId) -> int: ...

    def watched(self, platform: Platform) -> list[ChatRef]: ...

    def lost(self) -> list[Chat]:
        """Communities' chats that nothing can be sent to now."""
        ...

    def add_chat(
        self,
        chat: ChatId,
        ref: ChatRef,
        title: str,
        private: bool,
        closed: bool,
        language: str,
        now: datetime,
    ) -> None: ...

    def describe_chat(self, chat: ChatId, title: str, private: bool, closed: bool) -> None: ...

    def set_community(self, chat: ChatId, community: CommunityId | None, by: AccountId | None = None) -> None:
        """``by``: who set it up there."""
        ...

    def keepers(self, chat: ChatId) -> list[AccountId]:
        """Who set it up, and who gave it a mirror."""
        ...

    def set_relay(self, chat: ChatId, flag: bool) -> None: ...

    def set_look(self, chat: ChatId, look: Look, lost: str) -> None:
        """In whose name posts are shown there, and why not (any more) in their authors'."""
        ...

    def pinned(self, chat: ChatId) -> str:
        """The key of our pinned notice there, or an empty string."""
        ...

    def set_pinned(self, chat: ChatId, message_key: str) -> None: ...

    def set_state(self, chat: ChatId, state: ChatState, reason: str, now: datetime) -> None: ...

    def tell_of(self, chat: ChatId, now: datetime) -> bool:
        """Notes that its people are told how it stands. Returns whether they were not told yet."""
        ...

    def told_since(self, keeper: AccountId, since: datetime) -> bool:
        """Whether a room that this account keeps was told of since then."""
        ...

    def move_chat(self, chat: ChatId, to: ChatRef) -> None: ...

    def relayed_with(self, community: CommunityId, chat: ChatId) -> list[Chat]: ...

    def add_mirror(self, chat: ChatId, feed: Feed, by: AccountId | None, now: datetime) -> bool: ...

    def drop_mirror(self, chat: ChatId, feed: Feed) -> bool: ...

    def drop_mirrors(self, chat: ChatId) -> None: ...

    def mirrors_of(self, chat: ChatId) -> list[Mirror]: ...

    def block(self, chat: ChatId, what: Feed) -> bool: ...

    def unblock(self, chat: ChatId, what: Feed) -> bool: ...

    def blocks_of(self, chat: ChatId) -> list[Feed]: ...

    def mirroring(
        self, feeds: list[Feed], blocks: list[Feed], author: MemberId, origin: ChatId
    ) -> list[Chat]:
        """Chats that want a post standing in these feeds, unless they block one of ``blocks`` or ban its author."""
        ...

    def add_membership(self, community: CommunityId, member: MemberId, now: datetime) -> None: ...

    def of_member(self, member: MemberId) -> list[CommunityId]:
        """The communities in whose rooms this member was seen."""
        ...

    def merge_memberships(self, loser: MemberId, winner: MemberId) -> None: ...

    def ban(self, community: CommunityId, member: MemberId, by: AccountId, now: datetime) -> bool: ...

    def unban(self, community: CommunityId, member: MemberId) -> bool: ...

    def move_bans(self, loser: MemberId, winner: MemberId) -> None:
        """A ban holds for the person, whichever member it was said of."""
        ...

    def banned(self, community: CommunityId, member: MemberId) -> bool: ...


class Posts(Protocol):
    """Posts, revisions, tags, places, home timelines; relayed talk."""

    def post(self, post: PostId | ThingId) -> Post | None: ...

    def posts(self, ids: list[PostId]) -> list[Post]: ...

    def latest_of(self, author: MemberId) -> Post | None: ...

    def add(
        self,
        post: PostId,
        *,
        author: MemberId,
        account: AccountId,
        community: CommunityId | None,
        chat: ChatId,
        visibility: Visibility,
        reply_to: PostId | None,
        now: datetime,
    ) -> None: ...

    def add_revision(self, revision: Revision) -> None: ...

    def revise(self, post: PostId) -> None:
        """Counts a revision up, and the version with it."""
        ...

    def set_visibility(self, post: PostId, visibility: Visibility) -> None:
        """Counts the version up, too."""
        ...

    def bump(self, post: PostId) -> None: ...

    def bump_all_of(self, author: MemberId) -> list[tuple[PostId, int]]:
        """Every post of this author gets a newer version, which is returned with it."""
        ...

    def delete(self, post: PostId, at: datetime) -> None: ...

    def move(self, loser: MemberId, winner: MemberId) -> None: ...

    def revision(self, post: PostId) -> Revision:
        """The newest one. Raises ``LookupError``."""
        ...

    def revisions(self, post: PostId) -> list[Revision]: ...

    def add_tags(self, post: PostId, tags: list[str]) -> None: ...

    def drop_tags(self, post: PostId) -> None: ...

    def add_places(self, thing: ThingId, chats: list[ChatId]) -> None: ...

    def places(self, thing: ThingId) -> list[ChatId]: ...

    def drop_places_in(self, chat: ChatId) -> None: ...

    def home(
        self,
        reader: MemberId,
        *,
        authors: list[int],
        tags: list[str],
        followed: list[int],
        inside: list[CommunityId],
        before: int,
        count: int,
    ) -> list[Post]:
        """Newest first. ``inside``: communities whose own posts the reader may see."""
        ...

    def latest_in(
        self,
        *,
        authors: list[int],
        tags: list[str],
        followed: list[int],
        everything: bool,
        inside: CommunityId | None,
    ) -> Post | None: ...

    def relay(self, relay: ThingId) -> Relay | None: ...

    def add_relay(
        self,
        relay: ThingId,
        chat: ChatId,
        account: AccountId,
        author: str,
        body: str,
        reply_to: ThingId | None,
        now: datetime,
    ) -> None: ...

    def revise_relay(self, relay: ThingId, body: str) -> None: ...

    def bump_relay(self, relay: ThingId) -> None: ...

    def delete_relay(self, relay: ThingId, at: datetime) -> None: ...


class Votes(Protocol):
    """Signals (raw reactions) and votes (one row per post and member)."""

    def put_signal(self, signal: Signal) -> None: ...

    def signals_on(
        self, post: PostId, account: AccountId, chat: ChatId, message_key: str
    ) -> list[Signal]: ...

    def signals_by(self, account: AccountId) -> list[Signal]: ...

    def signals_on_message(self, post: PostId, chat: ChatId, message_key: str) -> list[Signal]: ...

    def signal_by_ref(self, chat: ChatId, ref_key: str) -> Signal | None: ...

    def supersede(self, post: PostId, accounts: list[AccountId]) -> None: ...

    def drop_signal(self, signal: Signal) -> None: ...

    def forget_guests(self, before: datetime) -> set[PostId]:
        """Erases guests' reactions older than that. Returns the posts whose tally changes."""
        ...

    def vote(self, post: PostId, member: MemberId) -> Vote | None: ...

    def votes_by(self, member: MemberId) -> list[Vote]: ...

    def put_vote(self, vote: Vote) -> None: ...

    def drop_vote(self, post: PostId, member: MemberId) -> None: ...

    def spoke_for(self, post: PostId, account: AccountId) -> MemberId | None:
        """For whom this account spoke first on this post, if it ever did."""
        ...

    def speaks_for(self, post: PostId, account: AccountId, member: MemberId) -> MemberId:
        """For whom this account spoke first on this post; from now on for ``member`` if it never did."""
        ...

    def move_speakers(self, loser: MemberId, winner: MemberId) -> None: ...

    def recount(self, posts: Collection[PostId]) -> list[PostId]:
        """Counts anew. Returns the posts whose tally changed, with a newer version each."""
        ...


class Deliveries(Protocol):
    """The outbox of desired state, tries, copies, doubts, notices and folds."""

    def want(
        self,
        thing: ThingId,
        kind: ThingKind,
        version: int,
        chats: list[ChatId],
        *,
        rank: int,
        now: datetime,
        ready_at: datetime,
    ) -> None:
        """A new thing is to be shown in these chats; where it already is, nothing changes."""
        ...

    def bump(self, thing: ThingId, version: int, *, rank: int, now: datetime) -> list[ThingId]:
        """The thing has a newer version: wherever it stands it is to be shown. Returns the folds that show it."""
        ...

    def tally(self, posts: Collection[PostId], now: datetime) -> list[ThingId]:
        """The tallies of these posts moved: wherever they stand they are to be shown. Returns the folds that do."""
        ...

    def delivery(self, chat: ChatId, thing: ThingId) -> Delivery | None: ...

    def deliveries(self, thing: ThingId) -> list[Delivery]: ...

    def next(self, chat: ChatId, now: datetime, *, new_posts: bool = True) -> Delivery | None:
        """What this chat's lane should do now; ``new_posts`` says whether first sends of posts are among it."""
        ...

    def next_known(self, chat: ChatId, now: datetime) -> Delivery | None:
        """What this chat's lane should do now that is no first send of a thing."""
        ...

    def begun(self, chat: ChatId) -> Delivery | None:
        """The first send that has begun and has parts still to come."""
        ...

    def retried_before(self, chat: ChatId, thing: ThingId, now: datetime) -> datetime | None:
        """When an earlier first send is tried again, which this one may not overtake."""
        ...

    def next_notice(self, chat: ChatId, now: datetime) -> Delivery | None:
        """An answer: the only thing that a paused community still says."""
        ...

    def next_exempt(self, chat: ChatId, now: datetime) -> Delivery | None:
        """An answer through its own door (an interaction), which no window binds."""
        ...

    def soonest(self, chat: ChatId, now: datetime) -> datetime | None:
        """When this chat has something to do after ``now``."""
        ...

    def waiting(
        self, platform: Platform, since: datetime = EVER, until: datetime = NEVER
    ) -> dict[ChatId, datetime]:
        """Every chat of this platform with something to do in that time, and since when or when."""
        ...

    def first_sends(self, chat: ChatId, now: datetime) -> list[Delivery]: ...

    def shown(self, chat: ChatId, thing: ThingId, version: int, now: datetime, next_at: datetime) -> None:
        """All parts show that version. ``next_at``: before that, no edit that only moves a tally."""
        ...

    def progress(self, chat: ChatId, thing: ThingId, now: datetime) -> None:
        """One of several calls took effect; the next is due at once."""
        ...

    def settle(self, chat: ChatId, thing: ThingId, state: CopyState, reason: str) -> None:
        """Nothing more is to be done, and why."""
        ...

    def remove(self, chat: ChatId, thing: ThingId, now: datetime, reason: str) -> None:
        """Removed locally, for good; what may still be there of it is looked for."""
        ...

    def retry(
        self,
        chat: ChatId,
        thing: ThingId,
        at: datetime,
        reason: str,
        form: str,
        failing_since: datetime | None = None,
    ) -> None: ...

    def revive(self, chat: ChatId, thing: ThingId, now: datetime) -> None: ...

    def withdraw_waiting(self, chat: ChatId, reason: str) -> None:
        """What was not shown yet never is."""
        ...

    def leave_behind(self, chat: ChatId, reason: str) -> None:
        """The chat got another identity: its messages so far are out of reach, what waits goes to the new one."""
        ...

    def withdraw_all(self, chat: ChatId, now: datetime) -> None:
        """Every copy shown in this chat is to go."""
        ...

    def states(self) -> dict[str, int]:
        """How many rows wait for something to be done (``waiting``), and how many of the others are in which state."""
        ...

    def in_states(self, states: list[CopyState]) -> list[Delivery]: ...

    def add_try(self, attempt: Try) -> None: ...

    def lose_try(self, chat: ChatId, key: str, at: datetime, *, keyed: bool) -> None:
        """Its answer is lost since then. ``keyed``: a repeat may tell; else it is looked for, and steps aside."""
        ...

    def end_try(self, chat: ChatId, key: str) -> None: ...

    def end_tries(self, chat: ChatId, thing: ThingId, part: int | None = None) -> None:
        """Every try of this part there, or of all of them: a newer one was answered."""
        ...

    def tries(self) -> list[Try]: ...

    def tries_of(self, chat: ChatId, thing: ThingId) -> list[Try]: ...

    def any_try(self, chat: ChatId) -> bool: ...

    def note_origin(self, copy: Copy) -> None:
        """The author's own message stands for a thing that is new."""
        ...

    def add_copy(self, copy: Copy) -> None: ...

    def copy_of(self, chat: ChatId, message_key: str) -> Copy | None: ...

    def copy_shows(self, chat: ChatId, thing: ThingId, part: int, version: int, digest: str) -> None: ...

    def copy_in(self, chat: ChatId, thing: ThingId) -> Copy | None:
        """The first message that stands for a thing in this chat, ours or its author's."""
        ...

    def copies_in(self, chat: ChatId, thing: ThingId) -> list[Copy]:
        """Every part of a thing in this chat, in order."""
        ...

    def copies(self, thing: ThingId) -> list[Copy]: ...

    def withdrew(self, chat: ChatId, thing: ThingId, part: int) -> None:
        """We took that message away: another in its place has another key."""
        ...

    def drop_copies(self, chat: ChatId, thing: ThingId) -> None: ...

    def sent_since(self, chat: ChatId, since: datetime) -> int:
        """Posts from elsewhere and folds sent to this chat since then, whatever became of them: what its caps count."""
        ...

    def recent(self, platform: Platform, since: datetime) -> list[Copy]: ...

    def add_doubt(self, attempt: Try, now: datetime, resolution: str, reason: str) -> None: ...

    def leave_out(self, attempt: Try, now: datetime, reason: str) -> None:
        """That part may stand there and is never sent again; what follows it is."""
        ...

    def left_out(self, chat: ChatId, thing: ThingId) -> set[int]:
        """The parts that are never sent again there."""
        ...

    def doubts(self) -> list[DoubtRow]: ...

    def add_notice(self, notice: Notice, ready_at: datetime) -> None: ...

    def notice(self, notice: ThingId) -> Notice | None: ...

    def keep_for_private(self, notice: Notice) -> None:
        """Waits until its person opens the private chat, or expires."""
        ...

    def deliver_private(self, account: AccountId, chat: ChatId, now: datetime, *, handle: str = "") -> int:
        """A private door is open: what waited for it goes through it. Returns how many."""
        ...

    def clean_notices(self, before: datetime) -> None: ...

    def drop_notice(self, chat: ChatId, notice: ThingId) -> None:
        """An answer that was given, or cannot be given any more, is forgotten."""
        ...

    def fold(self, fold: ThingId, chat: ChatId, things: list[ThingId], now: datetime) -> None: ...

    def folded(self, chat: ChatId, fold: ThingId) -> list[Delivery]: ...

    def bump_fold(self, fold: ThingId, now: datetime, *, rank: int) -> None: ...


class Media(Protocol):
    """Files of things, and what lies in the store of files."""

    def add(self, rows: list[Enclosure]) -> None: ...

    def of(self, thing: ThingId) -> list[Enclosure]:
        """In the order in which they are shown."""
        ...

    def in_album(self, album: str) -> ThingId | None:
        """The thing that was made of the first message of this album."""
        ...

    def due(
        self, platforms: list[Platform], now: datetime, count: int
    ) -> tuple[list[Enclosure], datetime | None]:
        """What is to be fetched now from these platforms, and when there is more."""
        ...

    def store(self, thing: ThingId, position: int, digest: str) -> bool:
        """It is there. Whether it still was wanted."""
        ...

    def refuse(self, thing: ThingId, position: int, why: str) -> bool:
        """It will never be there. Whether it still was wanted."""
        ...

    def put_off(self, thing: ThingId, position: int, at: datetime, why: str) -> None: ...

    def hold_back(self, thing: ThingId, until: datetime) -> None:
        """The first sends of this thing wait for its files, at most until then."""
        ...

    def release(self, thing: ThingId, now: datetime) -> None:
        """They need wait no longer."""
        ...

    def describe(self, thing: ThingId, position: int, alt: str) -> None: ...

    def drop(self, thing: ThingId) -> None: ...

    def blob(self, digest: str) -> Blob | None: ...

    def add_blob(self, blob: Blob, now: datetime) -> None:
        """Where it is there already, nothing changes."""
        ...

    def total(self) -> int:
        """Bytes of everything in the store."""
        ...

    def known(self, digests: list[str]) -> set[str]: ...

    def forget(self, count: int) -> list[str]:
        """The digests of what no thing shows any more; their rows are gone with this."""
        ...


class Intake(Protocol):
    """Inbox, bookmarks, parked events, dead letters, settings of the instance."""

    def claim(self, key: str, now: datetime) -> bool:
        """Whether this event was never seen before."""
        ...

    def clean(self, before: datetime) -> None: ...

    def bookmark(self, scope: str) -> str | None: ...

    def set_bookmark(self, scope: str, value: str) -> None: ...

    def meta(self, name: str) -> str | None: ...

    def set_meta(self, name: str, value: str) -> None: ...

    def park(self, parked: Parked) -> None: ...

    def unpark(self, chat: ChatId, message_key: str) -> list[Parked]:
        """Takes what waits for this message, in the order of its arrival."""
        ...

    def expire(self, before: datetime) -> list[Parked]: ...

    def bury(self, letter: int, kind: str, payload: str, error: str, at: datetime) -> None: ...

    def dead_letters(self) -> list[tuple[int, str, str, str, datetime]]:
        """Newest first: id, kind, payload, error, time."""
        ...

    def exhume(self, letter: int) -> str | None:
        """Takes a dead letter out and returns its payload."""
        ...


class Sight(Protocol):
    """What people and operators look at: how things stand, what waits, what failed."""

    def again(self, chat: ChatId, thing: ThingId, now: datetime, most: int) -> bool:
        """A refused row is wanted again, ``most`` times at most. Returns whether it is."""
        ...

    def lost_rooms(self) -> list[LostRoom]:
        """Communities' chats that nothing can be sent to now, the longest lost first."""
        ...

    def stock(self, now: datetime, since: datetime) -> Stock:
        """How much waits now, and what went wrong since then."""
        ...


class Placing(Protocol):
    """What a room is to show no longer, and what it is to show again."""

    def withdraw_unmirrored(self, chat: ChatId, now: datetime, reason: str) -> list[ThingId]:
        """Waiting posts that this room wants no more never come. Returns the unsent folds that lost lines."""
        ...

    def withdraw(self, thing: ThingId, chats: list[ChatId], now: datetime, reason: str) -> list[ThingId]:
        """The thing is to go from these chats, or not to come. Returns the folds that showed it."""
        ...

    def again(self, thing: ThingId, version: int, chats: list[ChatId], ready_at: datetime) -> set[ChatId]:
        """What was withdrawn from these chats is to be shown there again; what people took away is not.

        Returns where that is so: a few times at most.
        """
        ...


class Backlog(Protocol):
    """What lies before each chat: it orders the courier's work and decides nothing."""

    def loads(self, platform: Platform) -> list[Load]:
        """How many rows are due there, by chat and rank."""
        ...

    def foremost(self, chats: Collection[ChatId], now: datetime) -> list[Foremost]:
        """What each of these chats would do next."""
        ...


class LeaseRows(Protocol):
    """Which process owns which bot token."""

    def take(self, name: str, owner: str, site: str, life: timedelta) -> int | None:
        """Takes what is free or expired, or was held from the same site. Returns the new epoch, if it is ours now.

        ``owner`` is for people. ``site``: where its holder can prove that an earlier one has died; or empty.
        """
        ...

    def renew(self, name: str, epoch: int, life: timedelta) -> bool:
        """Whether it is still this epoch's."""
        ...

    def release(self, name: str, epoch: int) -> None:
        """Whoever waits for it may take it at once."""
        ...

    def epoch(self, name: str) -> int:
        """The newest one; 0 where nobody ever took it."""
        ...

    def any_held(self) -> bool:
        """Whether some process serves something now."""
        ...

    def holder(self, name: str, site: str) -> str | None:
        """Its owner, unless ``take`` from this site would succeed now."""
        ...


class Unit(Protocol):
    """One transaction with its stores."""

    now: datetime
    touched: set[PostId]
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
    def votes(self) -> Votes: ...
    @property
    def delivery(self) -> Deliveries: ...
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
        """A new id, greater than every earlier one of this process."""
        ...

    def savepoint(self, name: str) -> None: ...
    def release(self, name: str) -> None: ...
    def undo(self, name: str) -> None:
        """Back to the savepoint, which ends with it."""
        ...

    def read_ahead(self, ahead: Ahead) -> None:
        """Reads what a batch will ask for, where that saves something."""
        ...

    def write(self) -> None:
        """Writes what waits to be written together, so that what the database has to say of it is said here."""
        ...

    def attempt(self) -> AbstractContextManager[None]:
        """What a ``Refusal`` inside undoes, and nothing else. The refusal goes on."""
        ...
