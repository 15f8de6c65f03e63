"""The drill: a backup of a living instance, restored elsewhere, starts paused and sends nothing a second time."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from core.mediastore import MediaStore
from core.parts import same_files
from core.records import Blob, Copy, CopyState, Try, Verb
from core.types import ChatId, ChatRef, MemberId, MessageRef, Platform, ThingId, ThingKind
from storage import dump, migrate
from storage.database import open_engine
from storage.tables import metadata
from storage.unit import SqlUnit
from stormo import backup, desk, seal
from stormo.app import NUDGE, Stormo
from stormo.backup import MEDIA, NotEmpty, back_up, restore
from stormo.config import Config, parse
from stormo.instance import Instance
from stormo.seal import Damaged, WrongPassphrase
from tests.doubles.telegram import TelegramDouble
from tests.stage import until

PICTURE = b"\xff\xd8\xff\xdb" + bytes(range(256)) * 1000
WORDS = "correct horse battery"
SOON = datetime.now(UTC) - timedelta(minutes=5)
SHOWN, WAITING, TRIED, BEGUN = (ThingId(number) for number in range(101, 105))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "_LOG_N", 4)


def config(folder: Path, url: str = "") -> Config:
    source = '[web]\nport = 0\n[playground]\nenabled = false\n[telegram]\ntoken = "1:a"\nenabled = false\n'
    made = parse(source, {}, base=folder)
    return replace(made, database_url=url) if url else made


def _fill(unit: SqlUnit) -> None:
    """A chat with a copy whose tally moved, a send that waits, and one whose answer never came."""
    chat = ChatId(unit.new_id())
    unit.communities.add_chat(chat, ChatRef(Platform("telegram"), "-5"), "Birds 🐦", False, False, "it", SOON)
    unit.people.add_member(MemberId(unit.new_id()), "anna", "anna", "it", "Anna", SOON)
    for thing in (SHOWN, WAITING, TRIED):
        unit.outbox.want(thing, ThingKind.POST, 1, [chat], rank=1, now=SOON, ready_at=SOON)
    unit.outbox.shown(chat, SHOWN, 1, SOON, SOON)
    unit.outbox.bump(SHOWN, 2, rank=3, now=SOON)
    for thing, verb in ((TRIED, Verb.CREATE), (SHOWN, Verb.EDIT)):
        attempt = Try(
            chat_id=chat,
            key=f"k{thing}",
            thing_id=thing,
            part=0,
            verb=verb,
            version=1,
            form="full",
            epoch=0,
            at=SOON,
        )
        unit.tries.add_try(attempt)
    unit.intake.set_bookmark("matrix", "s72_1")


async def live(made: Config) -> None:
    """An instance with something in every corner."""
    async with Instance(made) as instance:
        await instance.writer.submit(_fill)
        kept, swept = _stored(made, PICTURE), Blob(digest="cd" * 32, mime="image/png", size=1)
        await instance.writer.submit(lambda unit: unit.media.add_blob(kept, SOON))
        await instance.writer.submit(lambda unit: unit.media.add_blob(swept, SOON))
    # What no row names, and what is only half there, is no part of a backup.
    _stored(made, b"%PDF-1.7")
    MediaStore(made.media.folder).incoming(made.media).discard()
    (made.media.folder / "parts" / "half").write_bytes(b"x")


def _stored(made: Config, content: bytes) -> Blob:
    store = MediaStore(made.media.folder)
    file = store.incoming(made.media)
    file.take(content)
    return store.keep(file)


def rows(url: str) -> Mapping[str, set[tuple[object, ...]]]:
    engine = open_engine(url)
    with engine.connect() as connection:
        found = {
            name: {tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))}
            for name in metadata.tables
        }
    engine.dispose()
    return found


def look(made: Config, thing: ThingId) -> tuple[str, str]:
    """The state of a thing in its chat, and what the list of doubts says of it."""
    with desk._reading(made) as readers:
        row = readers.read_now(lambda unit: unit.outbox.deliveries(thing))[0]
        doubts = [
            d.resolution for d in readers.read_now(lambda unit: unit.tries.doubts()) if d.thing_id == thing
        ]
    return row.state, ",".join(doubts)


async def test_a_backup_brings_back_everything_and_leaves_what_was_open_in_doubt(
    tmp_path: Path, database_url: str
) -> None:
    source, target = config(tmp_path / "a", database_url), config(tmp_path / "b")
    await live(source)
    before = rows(source.database_url)
    made = back_up(source, tmp_path / "backup", WORDS)
    assert made.rows == sum(map(len, before.values()))
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600

    restored = restore(target, tmp_path / "backup", WORDS)
    assert (restored.rows, restored.at, restored.doubts) == (made.rows, made.at, 2)
    after = rows(target.database_url)
    for name in set(before) - {"outbox", "tries", "doubts", "meta"}:
        assert after[name] == before[name], name
    assert (target.data / "key").read_bytes() == (source.data / "key").read_bytes()
    store = MediaStore(target.media.folder)
    assert [store.path(digest).read_bytes() for digest in store.digests()] == [PICTURE]
    assert not (target.data / MEDIA / "parts").exists()

    assert look(target, WAITING) == (CopyState.DOUBT, "left out")
    assert look(target, TRIED) == (CopyState.DOUBT, "left out")
    assert look(target, SHOWN) == (CopyState.LIVE, "")
    assert after["tries"] == set()


def _begin(unit: SqlUnit) -> None:
    """A long post of which one message stands."""
    chat = ChatId(unit.new_id())
    ref = ChatRef(Platform("telegram"), "-7")
    unit.communities.add_chat(chat, ref, "Nest", False, False, "it", SOON)
    unit.outbox.want(BEGUN, ThingKind.POST, 1, [chat], rank=1, now=SOON, ready_at=SOON)
    unit.outbox.progress(chat, BEGUN, SOON)
    unit.copies.add_copy(
        Copy(
            chat_id=chat,
            thing_id=BEGUN,
            kind=ThingKind.POST,
            part=0,
            message=MessageRef(ref, "m1"),
            ours=True,
            shown=1,
            sent_at=SOON,
            digest="files.words",
        )
    )


async def test_the_rest_of_a_post_that_had_begun_is_in_doubt_and_its_words_are_not_known_any_more(
    tmp_path: Path, database_url: str
) -> None:
    source, target = config(tmp_path / "a"), config(tmp_path / "b", database_url)
    async with Instance(source) as instance:
        await instance.writer.submit(_begin)
    back_up(source, tmp_path / "backup", WORDS)
    restore(target, tmp_path / "backup", WORDS)
    assert look(target, BEGUN) == (CopyState.DOUBT, "left out")
    with desk._reading(target) as readers:
        (copy,) = readers.read_now(lambda unit: unit.copies.copies(BEGUN))
        (doubt,) = readers.read_now(lambda unit: unit.tries.doubts())
    assert doubt.part == 1
    assert copy.digest != "files.words"
    assert same_files(copy.digest, "files.words")


async def test_a_backup_of_sqlite_moves_into_postgresql(tmp_path: Path, fresh_postgres_url: str) -> None:
    source, target = config(tmp_path / "a"), config(tmp_path / "b", fresh_postgres_url)
    await live(source)
    back_up(source, tmp_path / "backup", WORDS)
    restore(target, tmp_path / "backup", WORDS)
    assert rows(target.database_url)["members"] == rows(source.database_url)["members"]
    assert look(target, WAITING) == (CopyState.DOUBT, "left out")


async def test_a_restored_instance_waits_and_then_leaves_out_what_piled_up(
    tmp_path: Path, database_url: str
) -> None:
    source, target = config(tmp_path / "a"), config(tmp_path / "b", database_url)
    await live(source)
    back_up(source, tmp_path / "backup", WORDS)
    restore(target, tmp_path / "backup", WORDS)
    late = ThingId(104)
    async with Stormo(target) as app:
        assert await app.gate.meta("paused")
        chat = await app.readers.read(lambda unit: unit.communities.chat(ChatRef(Platform("telegram"), "-5")))
        assert chat is not None
        await app.writer.submit(
            lambda unit: unit.outbox.want(late, ThingKind.POST, 1, [chat.id], rank=1, now=SOON, ready_at=SOON)
        )
        assert await asyncio.to_thread(desk.end_pause, target) == 1
        assert not await app.gate.meta("paused")
        assert await app.gate.meta(NUDGE)
    assert look(target, late) == (CopyState.DOUBT, "left out")
    assert look(target, WAITING) == (CopyState.DOUBT, "left out")
    assert desk.end_pause(target) is None


@pytest.mark.peer
async def test_a_restored_instance_answers_nothing_a_second_time(
    tmp_path: Path, telegram_double: TelegramDouble
) -> None:
    anna = telegram_double.person("Anna", username="anna")
    group = telegram_double.group("Birds", admins=[anna], bot_admin=True)
    section = f"""
        [telegram]
        token = "{telegram_double.token}"
        base_url = "{telegram_double.base_url}"
        base_file_url = "{telegram_double.base_file_url}"
    """
    target = parse(f"[web]\nport = 0\n{section}", {}, base=tmp_path / "b")
    source = config(tmp_path / "a")
    await live(source)
    back_up(source, tmp_path / "backup", WORDS)
    restore(target, tmp_path / "backup", WORDS)

    def answers() -> int:
        return sum(m.from_bot for m in telegram_double.visible(group))

    async with Stormo(target) as app:
        # Since the backup this was answered already, for all that the restored instance can know.
        await anna.send(group, "/help")
        await until(
            lambda: app.readers.read(lambda unit: len(unit.lanes.waiting(Platform("telegram"))) == 2),
            "the answer to wait",
        )
        assert answers() == 0
        assert await asyncio.to_thread(desk.end_pause, target) == 1
        await anna.send(group, "/help")
        await telegram_double.wait_until(answers)
        # A lane keeps its order: the former answer would have come first.
        assert answers() == 1


async def test_a_backup_is_one_state_although_the_program_goes_on(tmp_path: Path, database_url: str) -> None:
    made = config(tmp_path / "a", database_url)
    async with Instance(made) as instance:
        await instance.writer.submit(_fill)
        engine = open_engine(database_url)
        with dump.snapshot(engine) as state:
            portions = state.portions()
            next(portions)
            await instance.writer.submit(lambda unit: unit.intake.claim("late", SOON))
            inbox = [found for name, _, found in portions if name == "inbox"]
        engine.dispose()
    assert inbox == [[]]


async def test_tables_longer_than_a_portion_come_whole(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "PORTION", 7)
    source, target = config(tmp_path / "a", database_url), config(tmp_path / "b")
    async with Instance(source) as instance:
        await instance.writer.submit(lambda unit: [unit.intake.claim(f"k{i}", SOON) for i in range(50)])
    back_up(source, tmp_path / "backup", WORDS)
    restore(target, tmp_path / "backup", WORDS)
    assert rows(target.database_url)["inbox"] == rows(source.database_url)["inbox"]
    assert len(rows(target.database_url)["inbox"]) == 50


async def test_nothing_is_written_where_something_is(tmp_path: Path, database_url: str) -> None:
    source = config(tmp_path / "a", database_url)
    await live(source)
    back_up(source, tmp_path / "backup", WORDS)
    before = rows(database_url)
    fresh_folder = replace(source, data=tmp_path / "b")
    for target in (source, fresh_folder):
        with pytest.raises(NotEmpty):
            restore(target, tmp_path / "backup", WORDS)
    assert rows(database_url) == before
    assert not (tmp_path / "b" / "key").exists()


@pytest.mark.parametrize("how", ["passphrase", "cut", "turned"])
async def test_a_backup_that_does_not_open_leaves_the_target_empty(how: str, tmp_path: Path) -> None:
    source, target = config(tmp_path / "a"), config(tmp_path / "b")
    await live(source)
    file = tmp_path / "backup"
    back_up(source, file, WORDS)
    whole = file.read_bytes()
    if how == "cut":
        file.write_bytes(whole[:-70_000])
    elif how == "turned":
        file.write_bytes(whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:])
    with pytest.raises(WrongPassphrase if how == "passphrase" else Damaged):
        restore(target, file, "wrong" if how == "passphrase" else WORDS)
    assert not target.data.exists()


async def test_a_restore_that_fails_half_way_leaves_nothing(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = config(tmp_path / "a"), config(tmp_path / "b", database_url)
    await live(source)
    back_up(source, tmp_path / "backup", WORDS)
    (tmp_path / "b" / "data").mkdir(parents=True)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(backup, "_keep", full)
    with pytest.raises(OSError, match="no space"):
        restore(target, tmp_path / "backup", WORDS)
    assert migrate.version(database_url) is None
    assert not (target.data / "key").exists()
    monkeypatch.undo()
    monkeypatch.setattr(seal, "_LOG_N", 4)
    restore(target, tmp_path / "backup", WORDS)
    assert migrate.version(database_url) == migrate.newest()


async def test_a_backup_that_fails_leaves_the_former_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = config(tmp_path / "a")
    await live(source)
    file = tmp_path / "backup"
    back_up(source, file, WORDS)
    former = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(backup, "_put_bytes", full)
    with pytest.raises(OSError, match="no space"):
        back_up(source, file, WORDS)
    assert file.read_bytes() == former
    assert not file.with_name("backup.part").exists()


def test_there_is_nothing_to_back_up_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(backup.NoDatabase):
        back_up(config(tmp_path), tmp_path / "backup", WORDS)
    assert list(tmp_path.iterdir()) == []
