"""Backup and restore: one encrypted file with every row, the key and the media.

Inside the seal (``stormo.seal``) is a tar stream: ``manifest.json`` first; the database's rows as
``tables/<table>/<number>.json``, each ``{"columns": [...], "rows": [[...], ...]}`` with times as integer microseconds;
``key``; ``media/...``; ``end.json`` with the number of rows of each table last. Rows are plain values, so a backup of
either kind of database can be restored into the other.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from sqlalchemy import Connection

from core.errors import StormoError, message
from core.mediastore import MediaStore
from storage import dump, migrate
from storage.database import open_engine
from stormo import lock
from stormo.config import MEDIA_FOLDER, Config
from stormo.instance import JOURNAL_FILE, KEY_FILE, instance_key
from stormo.seal import Damaged, NotABackup, Opening, Sealing

_FORMAT: Final = 1
MEDIA: Final = MEDIA_FOLDER
#: The table that names every file of the store.
_BLOBS: Final = "blobs"


@dataclass(frozen=True, slots=True)
class Made:
    """What a backup holds: rows in all tables, and when it was made. ``doubts``: open sends found at restore."""

    rows: int
    at: datetime
    doubts: int = 0


class NotEmpty(StormoError):
    """The target of a restore holds something."""

    def __init__(self, what: str) -> None:
        self.message = message("restore.not_empty", what=what)
        super().__init__(f"{what} is not empty")


class NoDatabase(StormoError):
    """There is no database of this program's version to work on."""

    def __init__(self, id_: str) -> None:
        self.message = message(id_)
        super().__init__(id_)


def require_current(database_url: str) -> None:
    """Raises ``NoDatabase`` unless the database has this program's version, ``NewerDatabase`` for a newer one."""
    found = migrate.version(database_url)
    if found is None:
        raise NoDatabase("database.none")
    if found != migrate.newest():
        raise NoDatabase("database.older")


def back_up(config: Config, file: Path, passphrase: str) -> Made:
    """Writes the backup beside a running program; ``file`` appears, or is replaced, only when it is complete.

    Raises ``OSError`` where the file cannot be written.
    """
    require_current(config.database_url)
    part = file.with_name(f"{file.name}.part")
    try:
        with _new(part) as out:
            made = _write(config, out, passphrase)
        part.replace(file)
        _sync(file.absolute().parent)
    finally:
        part.unlink(missing_ok=True)
    return made


@contextmanager
def _new(file: Path) -> Iterator[IO[bytes]]:
    """A file for its owner's eyes only, on the disk when the block has ended."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(config: Config, out: IO[bytes], passphrase: str) -> Made:
    sealing = Sealing(out, passphrase)
    at = datetime.now(UTC)
    rows: Counter[str] = Counter()
    digests: list[str] = []
    engine = open_engine(config.database_url)
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", sealing), mode="w|", format=tarfile.PAX_FORMAT) as tar:
            manifest = {"format": _FORMAT, "at": at.isoformat(), "version": migrate.newest()}
            _put(tar, "manifest.json", manifest)
            with dump.snapshot(engine) as state:
                for number, (table, columns, portion) in enumerate(state.portions()):
                    rows[table] += len(portion)
                    if table == _BLOBS:
                        digests += [row[columns.index("digest")] for row in portion]
                    _put(tar, f"tables/{table}/{number}.json", {"columns": columns, "rows": portion})
            # After the rows: what a row names is there by then.
            _put_bytes(tar, KEY_FILE, instance_key(config.data))
            for digest in digests:
                _put_media(tar, config.media.folder, digest)
            _put(tar, "end.json", dict(rows))
    finally:
        engine.dispose()
    sealing.close()
    return Made(sum(rows.values()), at)


def _put_media(tar: tarfile.TarFile, folder: Path, digest: str) -> None:
    path = MediaStore(folder).path(digest)
    # The running program may have swept it since the snapshot: nothing shows it any more then.
    with suppress(FileNotFoundError):
        tar.add(path, f"{MEDIA}/{path.relative_to(folder).as_posix()}")


def _put(tar: tarfile.TarFile, name: str, value: object) -> None:
    _put_bytes(tar, name, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _put_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    tar.addfile(entry, io.BytesIO(content))


def restore(config: Config, file: Path, passphrase: str) -> Made:
    """Fills an empty database and data folder, and pauses the instance.

    Raises ``NotEmpty``, ``NotABackup``, ``WrongPassphrase``, ``Damaged``, ``NewerDatabase``, ``InUse``, ``OSError``:
    then nothing was written.
    """
    _verify(file, passphrase)
    with lock.held(config.data, config.database_url):
        _require_empty_folder(config.data)
        engine = open_engine(config.database_url)
        try:
            with _folder_undone_on_error(config.data), migrate.transaction(engine) as connection:
                if dump.holds_tables(connection):
                    raise NotEmpty("[database] url")
                with _opened(file, passphrase) as tar:
                    return _fill(config, connection, tar)
        finally:
            engine.dispose()


def _verify(file: Path, passphrase: str) -> None:
    """Reads all of it once, so that a damaged end is found before anything is written."""
    rows: Counter[str] = Counter()
    end: object = None
    with _opened(file, passphrase) as tar:
        manifest = _manifest(tar)
        if not migrate.known(str(manifest["version"])):
            raise migrate.NewerDatabase(str(manifest["version"]))
        for entry in tar:
            if _table_of(entry) is not None:
                rows[_table_of(entry) or ""] += len(_json(tar, entry)["rows"])
            elif entry.name == "end.json":
                end = _json(tar, entry)
    if end != dict(rows):
        raise Damaged


@contextmanager
def _opened(file: Path, passphrase: str) -> Iterator[tarfile.TarFile]:
    with file.open("rb") as source:
        opening = Opening(source, passphrase)
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", opening), mode="r|") as tar:
                yield tar
        except (tarfile.TarError, json.JSONDecodeError, UnicodeDecodeError, LookupError, TypeError):
            raise Damaged from None


def _manifest(tar: tarfile.TarFile) -> dict[str, Any]:
    entry = tar.next()
    if entry is None or entry.name != "manifest.json":
        raise NotABackup("backup.not_one")
    manifest = _json(tar, entry)
    if manifest["format"] != _FORMAT:
        raise NotABackup("backup.newer_format")
    return manifest


def _table_of(entry: tarfile.TarInfo) -> str | None:
    parts = PurePosixPath(entry.name).parts
    return parts[1] if len(parts) == 3 and parts[0] == "tables" else None  # noqa: PLR2004


def _json(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> dict[str, Any]:
    found = json.loads(_bytes(tar, entry))
    if not isinstance(found, dict):
        raise Damaged
    return found


def _bytes(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(entry)
    if source is None:
        raise Damaged
    return source.read()


def _require_empty_folder(data: Path) -> None:
    for name in (KEY_FILE, MEDIA, JOURNAL_FILE):
        if (data / name).exists():
            raise NotEmpty(str(data / name))


@contextmanager
def _folder_undone_on_error(data: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        (data / KEY_FILE).unlink(missing_ok=True)
        shutil.rmtree(data / MEDIA, ignore_errors=True)
        raise


def _fill(config: Config, connection: Connection, tar: tarfile.TarFile) -> Made:
    manifest = _manifest(tar)
    migrate.upgrade_on(connection, str(manifest["version"]))
    loader = dump.Loader(connection)
    rows = 0
    for entry in tar:
        if (table := _table_of(entry)) is not None:
            portion = _json(tar, entry)
            loader.load(table, portion["columns"], portion["rows"])
            rows += len(portion["rows"])
        elif entry.name == KEY_FILE:
            _keep(config.data / KEY_FILE, _bytes(tar, entry))
        elif entry.name.startswith(f"{MEDIA}/") and entry.isfile():
            _keep(_inside(config.data, entry.name), _bytes(tar, entry))
    migrate.upgrade_on(connection)
    doubts = loader.finish(datetime.now(UTC))
    return Made(rows, datetime.fromisoformat(manifest["at"]), doubts)


def _inside(data: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Damaged
    return data / path


def _keep(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with _new(file) as out:
        out.write(content)
