"""What happened on the playground, as lines of JSON in a file that outlives a killed process."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from core.errors import StormoError

Record = dict[str, Any]


class DamagedJournal(StormoError):
    """A line before the last one cannot be read: a cut-off write explains only the last."""

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(f"{path}: line {line} is no JSON object; remove the file to start with empty rooms")


class Journal:
    """An append-only file of records. Without a path nothing is kept.

    ``append`` reaches the kernel before it returns, so a killed process loses nothing; ``settle`` waits until
    the disk has everything appended so far, one fsync for all who wait.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None
        self._written = 0
        self._synced = 0
        self._syncing = asyncio.Lock()

    def read(self) -> Sequence[Record]:
        """Every record of earlier runs; a torn last line is cut off. Raises ``DamagedJournal``."""
        if self._path is None or not self._path.exists():
            return ()
        lines = self._path.read_bytes().split(b"\n")
        # What stands behind the last line feed was never finished.
        lines.pop()
        records = [_record(line) for line in lines]
        if records and records[-1] is None:
            records.pop()
            lines.pop()
        for number, record in enumerate(records, 1):
            if record is None:
                raise DamagedJournal(self._path, number)
        os.truncate(self._path, sum(len(line) + 1 for line in lines))
        return [record for record in records if record is not None]

    def replace(self, records: Iterable[Record]) -> None:
        """Begin anew with these records, at once or not at all. Only before the first ``append``."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(_line(record) for record in records)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def append(self, record: Record) -> None:
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = os.lseek(self._file, 0, os.SEEK_END)
        rest = memoryview(_line(record))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            # A full disk must not leave half a line in the middle of those that follow.
            os.ftruncate(self._file, end)
            raise
        self._written += 1

    async def settle(self) -> None:
        """Return when what was appended before this call is on the disk."""
        wanted = self._written
        async with self._syncing:
            if self._file is None or self._synced >= wanted:
                return
            mark = self._written
            await asyncio.to_thread(os.fsync, self._file)
            self._synced = mark

    def close(self) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
