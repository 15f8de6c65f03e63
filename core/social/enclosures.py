"""Files of posts and of relayed talk: what is taken, what waits for them, and what a copy shows of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from core.errors import FileWhy, Ignored, Message, Refusal, message
from core.events import Attachment, MessageReceived
from core.formats import clean_name
from core.intents import Capabilities, File
from core.mediastore import MediaRules, MediaStore
from core.records import Blob, Chat, Copy, Enclosure, FileState, Post
from core.social import votes
from core.stores.unit import Unit
from core.types import FILES, Platform, ThingId, ThingKind

#: Files of one post: as many as Discord shows in one message and Telegram in one album.
MAX_FILES: Final = 10
#: How long the messages of one album are waited for.
ALBUM_WAIT: Final = timedelta(seconds=2)
#: Graphemes of a description.
MAX_ALT: Final = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """What a copy shows of a thing's files, and says of those that it does not show."""

    files: tuple[File, ...] = ()
    lines: tuple[Message, ...] = ()


def enclose(
    unit: Unit,
    rules: MediaRules,
    thing: ThingId,
    platform: Platform,
    files: Sequence[Attachment],
    album: str = "",
) -> None:
    """Notes the files of a new thing that is placed already, or more of them. Its first copies wait for them.

    Raises ``Refusal`` for more than a post holds.
    """
    if not files:
        return
    there = unit.media.of(thing)
    if len(there) + len(files) > MAX_FILES:
        raise Refusal("post.too_many_files", limit=MAX_FILES)
    first = _behind(there)
    rows = [_row(unit, rules, thing, platform, file, first + n, album) for n, file in enumerate(files)]
    unit.media.add(rows)
    if any(row.state is FileState.WANTED for row in rows):
        unit.woken.add(FILES)
        unit.media.hold_back(thing, unit.now + rules.patience)


def _behind(there: Sequence[Enclosure]) -> int:
    """The first position that no file of a thing has."""
    return there[-1].position + 1 if there else 0


def keep(unit: Unit, thing: ThingId, kept: Collection[str]) -> bool:
    """Its author took the others out of their message: copies lose them, too. Returns whether there were any."""
    gone = [row for row in unit.media.of(thing) if row.key and row.key not in kept]
    for row in gone:
        unit.media.drop_one(thing, row.position)
    if gone:
        settle(unit, thing)
    return bool(gone)


def _row(
    unit: Unit,
    rules: MediaRules,
    thing: ThingId,
    platform: Platform,
    file: Attachment,
    position: int,
    album: str,
) -> Enclosure:
    too_large = file.size > rules.max_bytes
    return Enclosure(
        thing_id=thing,
        position=position,
        platform=platform,
        source=file.source,
        key=file.key,
        name=clean_name(file.name, file.mime),
        mime=file.mime,
        size=file.size,
        alt=file.alt.strip()[:MAX_ALT],
        spoiler=file.spoiler,
        state=FileState.REFUSED if too_large else FileState.WANTED,
        digest="",
        reason=FileWhy.SIZE.value if too_large else "",
        attempts=0,
        # The others of an album are about to come: all of them travel together.
        ready_at=unit.now + ALBUM_WAIT if album else unit.now,
        album=album,
    )


def join_album(unit: Unit, rules: MediaRules, chat: Chat, event: MessageReceived) -> bool:
    """Whether this message is one more file of a thing that its author began with the album's first message."""
    thing = unit.media.in_album(event.album)
    if thing is None:
        return False
    whole = unit.posts.post(thing) or unit.posts.relay(thing)
    account = unit.people.account(event.actor.account)
    if whole is None or account is None or whole.account_id != account.id or whole.deleted_at is not None:
        raise Ignored
    there = unit.media.of(thing)
    if len(there) + len(event.files) > MAX_FILES:
        raise Ignored
    part = _behind(there)
    enclose(unit, rules, thing, chat.ref.platform, event.files, event.album)
    kind = ThingKind.POST if isinstance(whole, Post) else ThingKind.RELAY
    unit.copies.note_origin(
        Copy(
            chat_id=chat.id,
            thing_id=thing,
            kind=kind,
            part=part,
            message=event.message,
            ours=False,
            shown=0,
            sent_at=unit.now,
        )
    )
    return True


def settle(unit: Unit, thing: ThingId) -> None:
    """One of its files is there or never will be: copies follow, and those not sent yet need wait no longer."""
    if not any(row.state is FileState.WANTED for row in unit.media.of(thing)):
        unit.media.release(thing, unit.now)
    show_again(unit, thing)


def show_again(unit: Unit, thing: ThingId) -> None:
    """Something of its files changed."""
    post = unit.posts.post(thing)
    if post is not None and post.deleted_at is None:
        unit.posts.bump(post.id)
        votes.show_again(unit, post.id, post.version + 1, rank=2)
    elif (relay := unit.posts.relay(thing)) is not None and relay.deleted_at is None:
        unit.posts.bump_relay(thing)
        unit.outbox.bump(thing, relay.version + 1, rank=2, now=unit.now)


def undescribed(unit: Unit, thing: ThingId) -> bool:
    """Whether there is a picture that those who cannot see it know nothing of."""
    return any(row.mime.startswith("image/") and not row.alt for row in unit.media.of(thing))


def told(unit: Unit, thing: ThingId) -> list[Message]:
    """For its author: which of its files are not there, and why."""
    return [_what(row) for row in unit.media.of(thing) if row.state is not FileState.STORED]


def _what(row: Enclosure) -> Message:
    if row.state is FileState.WANTED:
        return message("file.what.missing", name=row.name)
    return message(f"file.what.{row.reason}", name=row.name)


# -- what a copy shows -------------------------------------------------------------------------------------------


def shown(unit: Unit, store: MediaStore, thing: ThingId, can: Capabilities | None, link: str) -> Shown:
    """The files of a thing in one chat. ``can`` is ``None`` where it takes none; ``link``: to the whole, or empty."""
    rows = unit.media.of(thing)
    if not rows:
        return Shown()
    missing = sum(row.state is FileState.WANTED for row in rows)
    lines = [message("file.missing", n=missing)] if missing else []
    lines += [message("file.refused", name=row.name) for row in rows if row.state is FileState.REFUSED]
    files: list[File] = []
    for row in rows:
        if row.state is not FileState.STORED:
            continue
        blob = _fitting(unit, row.digest, can)
        # Another machine's process may have kept it in a folder that is not seen from here.
        if blob is not None and store.path(blob.digest).is_file():
            files.append(_file(store, row, blob))
        else:
            lines.append(_elsewhere(row.name, link))
    return Shown(tuple(files), tuple(lines))


def _elsewhere(name: str, link: str) -> Message:
    return message("file.linked", name=name, url=link) if link else message("file.not_here", name=name)


def _fitting(unit: Unit, digest: str, can: Capabilities | None) -> Blob | None:
    """The file as it is, else the smaller picture of it, whichever this platform takes."""
    if can is None or not can.files_per_message:
        return None
    while digest:
        blob = unit.media.blob(digest)
        if blob is None or blob.size <= can.max_file:
            return blob
        digest = blob.small
    return None


def _file(store: MediaStore, row: Enclosure, blob: Blob) -> File:
    return File(
        digest=blob.digest,
        path=store.path(blob.digest),
        mime=blob.mime,
        name=clean_name(row.name, blob.mime),
        size=blob.size,
        alt=row.alt,
        spoiler=row.spoiler,
        width=blob.width,
        height=blob.height,
    )
