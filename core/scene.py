"""What a use case works on: the transaction, who acts, where, and the settings of the instance."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from msgspec import Struct, structs

from core import places
from core.events import Actor, Attachment, Place
from core.intents import Capabilities
from core.mediastore import MediaRules
from core.names import clean_name
from core.records import Account, Chat, ChatState, Member
from core.stores.unit import Unit
from core.types import AccountId, AccountRef, ChatId, Language, MessageRef, Platform

_ALPHABET = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "ABCDEFGHJKMNPQRSTUVWXYZ23456789L")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The instance's settings and the numbers of good manners.

    ``key`` signs one-time codes; it lives in a file beside the database and never in it.
    ``give_up``: how long a row of the outbox is tried in vain; relayed talk also ends when it only waited so long.
    ``max_post`` in UTF-16 code units. ``platforms``: what each adapter can do, by platform.
    """

    instance: str
    key: bytes = field(repr=False)
    platforms: Mapping[Platform, Capabilities] = field(default_factory=dict)
    operators: frozenset[AccountRef] = frozenset()
    languages: tuple[str, ...] = ("en", "it")
    default_language: str = "en"
    public_url: str = ""
    max_post: int = 12_000
    hold: timedelta = timedelta(seconds=60)
    hold_days: int = 7
    hold_posts: int = 5
    copies_an_hour: int = 10
    copies_a_day: int = 60
    fold_after: timedelta = timedelta(minutes=15)
    give_up: timedelta = timedelta(hours=24)
    quiet_hours: tuple[int, int] | None = None
    quiet_zone: str = "UTC"
    code_life: timedelta = timedelta(minutes=10)
    code_tries: int = 5
    brief_life: timedelta = timedelta(seconds=60)
    park_life: timedelta = timedelta(minutes=10)
    guest_life: timedelta = timedelta(days=30)
    handle_life: timedelta = timedelta(days=30)
    report_life: timedelta = timedelta(days=30)
    inbox_life: timedelta = timedelta(days=30)
    media: MediaRules = field(default_factory=MediaRules)

    def label(self, platform: Platform) -> str:
        """The platform's name as people know it."""
        known = self.platforms.get(platform)
        return known.label if known else str(platform).capitalize()

    def capabilities(self, platform: Platform) -> Capabilities | None:
        return self.platforms.get(platform)

    def code(self, nonce: str) -> str:
        """The one-time code of a nonce: 64 bits as 13 characters that nobody mistakes for one another."""
        digest = hmac.new(self.key, b"code " + nonce.encode(), hashlib.sha256).digest()
        return base64.b32encode(digest[:8]).decode().rstrip("=").translate(_ALPHABET)


def new_nonce() -> str:
    return secrets.token_hex(16)


def normal_code(typed: str) -> str:
    """What somebody typed, as it was shown: case, spaces and hyphens do not matter."""
    return "".join(c for c in typed.upper() if c.isalnum())


def hash_code(code: str) -> str:
    return hashlib.sha256(normal_code(code).encode()).hexdigest()


class Scene(Struct, frozen=True):
    """One act.

    ``member`` is ``None`` for who did not join; ``message`` is the person's own message, ``target`` the one they
    answer to; ``command``: ``message`` is nothing but a command, which may go once it was answered;
    ``handle`` lets the adapter answer only them; ``group``: what the room is part of (a guild), if anything;
    ``lacks``: what the bot may not do there; ``threaded``: it is no room for talk; ``files`` came with the words, alone
    or as the first of an ``album``.
    """

    unit: Unit
    rules: Rules
    actor: Actor
    chat: Chat
    account: Account
    member: Member | None
    message: MessageRef | None = None
    target: MessageRef | None = None
    handle: str = ""
    command: bool = False
    group: str = ""
    lacks: tuple[str, ...] = ()
    threaded: bool = False
    files: tuple[Attachment, ...] = ()
    album: str = ""

    @property
    def operator(self) -> bool:
        operators = self.rules.operators
        return bool(operators) and self.actor.account in operators

    @property
    def language(self) -> str:
        return reader_language(self.rules, self.account, self.member, self.chat)

    def as_member(self, member: Member) -> Scene:
        return structs.replace(
            self, member=member, account=structs.replace(self.account, member_id=member.id)
        )


def reader_language(rules: Rules, account: Account | None, member: Member | None, chat: Chat | None) -> str:
    """The member's choice, else the platform's locale, else the room's, else the instance's."""
    wishes = (
        member.language if member else "",
        account.locale if account else "",
        chat.language if chat else "",
    )
    return next((w for w in wishes if w in rules.languages), rules.default_language)


def enter(
    unit: Unit,
    rules: Rules,
    actor: Actor,
    place: Place,
    *,
    message: MessageRef | None = None,
    target: MessageRef | None = None,
    handle: str = "",
    command: bool = False,
) -> Scene:
    """Finds or writes down chat and account as the platform describes them now. Only for what is meant for us."""
    chat = _chat(unit, place)
    if (name := clean_name(actor.name)) != actor.name:
        actor = replace(actor, name=name)
    account = account_of(unit, actor)
    alone = place.private and chat.community_id is None
    if alone != (account.private_chat_id == chat.id):
        # Others may have come into what was a private chat: then it is one no longer.
        unit.people.set_private_chat(account.id, chat.id if alone else None)
        account = structs.replace(account, private_chat_id=chat.id if alone else None)
    member = unit.people.member(account.member_id) if account.member_id else None
    if member and chat.community_id:
        unit.communities.add_membership(chat.community_id, member.id, unit.now)
    return Scene(
        unit=unit,
        rules=rules,
        actor=actor,
        chat=chat,
        account=account,
        member=member,
        message=message,
        target=target,
        handle=handle,
        command=command,
        group=place.group,
        lacks=place.lacks,
        threaded=place.threaded,
    )


def _chat(unit: Unit, place: Place) -> Chat:
    chat = unit.communities.chat(place.chat)
    if chat is None:
        unit.communities.add_chat(
            ChatId(unit.new_id()), place.chat, place.title, place.private, place.closed, "", unit.now
        )
        found = unit.communities.chat(place.chat)
        assert found is not None
        return found
    if (chat.title, chat.private, chat.closed) != (place.title, place.private, place.closed) and place.title:
        unit.communities.describe_chat(chat.id, place.title, place.private, place.closed)
        chat = structs.replace(chat, title=place.title, private=place.private, closed=place.closed)
    if chat.state is ChatState.GONE:
        # Who hears somebody there is in it again.
        places.find(unit, chat)
        chat = structs.replace(chat, state=ChatState.ACTIVE, reason="")
    return chat


def account_of(unit: Unit, actor: Actor) -> Account:
    """The actor's row, written or renamed where needed."""
    locale = str(actor.locale or "")
    name = clean_name(actor.name)
    account = unit.people.account(actor.account)
    if account is None:
        unit.people.add_account(
            AccountId(unit.new_id()), actor.account, name, actor.username, locale, unit.now
        )
        found = unit.people.account(actor.account)
        assert found is not None
        return found
    locale = locale or account.locale
    if name and (account.name, account.username, account.locale) != (name, actor.username, locale):
        unit.people.rename_account(account.id, name, actor.username, locale)
        account = structs.replace(account, name=name, username=actor.username, locale=locale)
    return account


def language_of(value: str | None) -> Language | None:
    """The primary tag of a platform's locale (``it-IT`` -> ``it``)."""
    return Language(value.split("-")[0].split("_")[0].lower()) if value else None
