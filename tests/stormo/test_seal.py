"""What is sealed comes back whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from stormo import seal
from stormo.seal import Damaged, NotABackup, Opening, Sealing, WrongPassphrase

HEADER = 35
CHUNK = 65536 + 16


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase that is weak to guess: the file says how weak, so that reading needs no switch."""
    monkeypatch.setattr(seal, "_LOG_N", 4)


def sealed(content: bytes, portion: int = 10_000) -> bytes:
    out = io.BytesIO()
    sealing = Sealing(out, "correct horse")
    for start in range(0, len(content), portion):
        sealing.write(content[start : start + portion])
    sealing.close()
    return out.getvalue()


def opened(file: bytes, passphrase: str = "correct horse") -> bytes:
    return Opening(io.BytesIO(file), passphrase).read(10**9)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3 * 65536, 200_001])
def test_every_length_comes_back(size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    assert opened(sealed(content)) == content


def test_the_format_is_what_is_written_down() -> None:
    file = sealed(b"swifts")
    assert (file[:8], file[8], file[10:12]) == (b"STORMOBK", 1, b"\x08\x01")
    key = Scrypt(salt=file[12:28], length=32, n=1 << file[9], r=8, p=1).derive(b"correct horse")
    nonce = file[28:35] + b"\0\0\0\0\x01"
    assert AESGCM(key).decrypt(nonce, file[35:], file[:35]) == b"swifts"


def test_the_same_content_never_looks_the_same() -> None:
    assert sealed(b"swifts")[12:] != sealed(b"swifts")[12:]


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(WrongPassphrase):
        opened(sealed(b"swifts"), "wrong horse")


def _spoiled() -> Iterator[tuple[str, bytes]]:
    whole = sealed(bytes(200_000))
    one, two = whole[HEADER : HEADER + CHUNK], whole[HEADER + CHUNK : HEADER + 2 * CHUNK]
    end = whole[HEADER + 2 * CHUNK :]
    yield "cut in a chunk", whole[:-5]
    yield "cut at a chunk's end", whole[: HEADER + CHUNK]
    yield "cut after the header", whole[:HEADER]
    yield "longer", whole + b"x"
    yield "two exchanged", whole[:HEADER] + two + one + end
    yield "one left out", whole[:HEADER] + one + end
    yield "one twice", whole[:HEADER] + one + one + two + end
    yield "a bit turned", whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:]
    yield "another salt", whole[:12] + bytes(16) + whole[28:]
    yield "memory for a giant", whole[:9] + b"\x3f" + whole[10:]


@pytest.mark.parametrize(("how", "file"), [pytest.param(*case, id=case[0]) for case in _spoiled()])
def test_whatever_happened_to_the_file_is_noticed(how: str, file: bytes) -> None:
    with pytest.raises((Damaged, WrongPassphrase)):
        opened(file)


def test_other_files_are_told_apart() -> None:
    for other in (b"", b"STORMO", b"PK\x03\x04" + bytes(100)):
        with pytest.raises(NotABackup, match="not_one"):
            opened(other)
    with pytest.raises(NotABackup, match="newer_format"):
        opened(b"STORMOBK\x02" + bytes(100))
