"""Encryption of a stream under a passphrase: nobody reads it, changes it, or cuts its end off unnoticed.

The format, version 1 (integers big-endian):

    8 bytes   STORMOBK
    1         version, 1
    1         log2 of scrypt's N
    1         scrypt's r
    1         scrypt's p
    16        salt
    7         prefix of all nonces
    then      chunks: 65,536 bytes of content each (the last one fewer, perhaps none) and the 16 bytes of its tag

A chunk is AES-256-GCM under scrypt(passphrase, salt) with the nonce ``prefix, number of the chunk (4 bytes), 1 for
the last chunk else 0 (1 byte)``; the 35 bytes of the header are authenticated with each (the STREAM construction).
"""

from __future__ import annotations

import os
import struct
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from core.errors import StormoError, message

_MAGIC: Final = b"STORMOBK"
_VERSION: Final = 1
_HEADER: Final = struct.Struct(">8sBBBB16s7s")
_CHUNK: Final = 65536
_TAG: Final = 16
#: 128 MiB and about half a second for each guess of a passphrase.
_LOG_N, _R, _P = 17, 8, 1
#: A file that asks for more memory than that was not made by us.
_HIGHEST_LOG_N: Final = 20


class NotABackup(StormoError):
    """The file is something else, or of a newer format."""

    def __init__(self, id_: str) -> None:
        self.message = message(id_)
        super().__init__(id_)


class WrongPassphrase(StormoError):
    """The passphrase does not open it, or its very beginning is damaged: nobody can tell these apart."""

    def __init__(self) -> None:
        self.message = message("backup.wrong_passphrase")
        super().__init__("the passphrase does not open the backup")


class Damaged(StormoError):
    """The file was cut off or changed."""

    def __init__(self) -> None:
        self.message = message("backup.damaged")
        super().__init__("the backup is damaged")


class _Cipher:
    def __init__(self, header: bytes, passphrase: str) -> None:
        _, _, log_n, r, p, salt, prefix = _HEADER.unpack(header)
        self._prefix: bytes = prefix
        self._header = header
        derive = Scrypt(salt=salt, length=32, n=1 << log_n, r=r, p=p)
        self._gcm = AESGCM(derive.derive(passphrase.encode()))
        self._number = 0

    def _nonce(self, *, last: bool) -> bytes:
        nonce = self._prefix + struct.pack(">IB", self._number, last)
        self._number += 1
        return nonce

    def seal(self, content: bytes, *, last: bool) -> bytes:
        return self._gcm.encrypt(self._nonce(last=last), content, self._header)

    def open(self, chunk: bytes, *, last: bool) -> bytes:
        first = self._number == 0
        try:
            return self._gcm.decrypt(self._nonce(last=last), chunk, self._header)
        except InvalidTag:
            raise (WrongPassphrase if first else Damaged) from None


class Sealing:
    """What is written to this goes encrypted to ``file``. Complete only after ``close``."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        header = _HEADER.pack(_MAGIC, _VERSION, _LOG_N, _R, _P, os.urandom(16), os.urandom(7))
        self._cipher = _Cipher(header, passphrase)
        self._file = file
        self._waiting = bytearray()
        file.write(header)

    def write(self, content: bytes) -> int:
        self._waiting += content
        # One chunk always stays back: only at the end it is known which one is the last.
        while len(self._waiting) > _CHUNK:
            self._file.write(self._cipher.seal(bytes(self._waiting[:_CHUNK]), last=False))
            del self._waiting[:_CHUNK]
        return len(content)

    def close(self) -> None:
        self._file.write(self._cipher.seal(bytes(self._waiting), last=True))


class Opening:
    """Reads what ``Sealing`` wrote. Raises ``NotABackup``, ``WrongPassphrase``, ``Damaged``."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(_MAGIC):
            raise NotABackup("backup.not_one")
        _, version, log_n, r, p, *_ = _HEADER.unpack(header)
        if version != _VERSION:
            raise NotABackup("backup.newer_format")
        if not (1 <= log_n <= _HIGHEST_LOG_N and 1 <= r <= 2 * _R and 1 <= p <= 2 * _P):
            raise Damaged
        self._cipher = _Cipher(header, passphrase)
        self._file = file
        self._ahead = file.read(_CHUNK + _TAG)
        self._content = bytearray()
        self._ended = False

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, fewer only at the end."""
        while len(self._content) < size and not self._ended:
            self._next()
        found = bytes(self._content[:size])
        del self._content[:size]
        return found

    def _next(self) -> None:
        chunk, self._ahead = self._ahead, self._file.read(_CHUNK + _TAG)
        self._ended = not self._ahead
        if len(chunk) < _TAG:
            raise Damaged
        self._content += self._cipher.open(chunk, last=self._ended)
