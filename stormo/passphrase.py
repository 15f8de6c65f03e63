"""The passphrase of a backup: a file, the environment, or asked for."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path

from core.errors import Message, StormoError, message

VARIABLE = "STORMO_BACKUP_PASSPHRASE"


class NoPassphrase(StormoError):
    """There is none, and nobody to ask."""

    def __init__(self, id_: str, **args: str) -> None:
        self.message = message(id_, **args)
        super().__init__(id_)


def passphrase(file: Path | None, say: Callable[[Message], str], *, twice: bool) -> str:
    """``twice``: a typing error would lock a new backup for ever. Raises ``NoPassphrase``."""
    if file is not None:
        try:
            found = file.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise NoPassphrase("passphrase.unreadable", file=str(file)) from None
    else:
        found = os.environ.get(VARIABLE, "") or _ask(say, twice=twice)
    if not found:
        raise NoPassphrase("passphrase.none", variable=VARIABLE)
    return found


def _ask(say: Callable[[Message], str], *, twice: bool) -> str:
    if not sys.stdin.isatty():
        raise NoPassphrase("passphrase.none", variable=VARIABLE)
    typed = getpass.getpass(say(message("passphrase.ask")))
    if twice and typed != getpass.getpass(say(message("passphrase.again"))):
        raise NoPassphrase("passphrase.differ")
    return typed
