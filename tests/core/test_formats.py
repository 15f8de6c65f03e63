"""A file is what its first bytes say, whatever it is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.formats import HEAD, MAX_NAME, TEXT, UNKNOWN, allowed, clean_name, sniff


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x24\0\0\0ABCD", UNKNOWN),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x20ftypheic", "image/heic"),
        (b"\0\0\0\x20ftypqt  ", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"OggS\0\2", "audio/ogg"),
        (b"ID3\4", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"MZ\x90", "application/x-msdownload"),
        (b"\x7fELF", "application/x-executable"),
        ("perché no\n".encode(), TEXT),
        (b"a < b, and b > c", TEXT),
        ("\ufeff<!DOCTYPE html>".encode(), "text/html"),
        (b"  <script>alert(1)</script>", "text/html"),
        (b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
        (b"\xfe\xff\0h", UNKNOWN),
        (b"", UNKNOWN),
    ],
)
def test_the_first_bytes_tell(head: bytes, mime: str) -> None:
    assert sniff(head) == mime


def test_a_text_whose_last_letter_is_cut_is_a_text() -> None:
    head = ("x" * (HEAD - 1) + "è").encode()[:HEAD]
    assert sniff(head) == TEXT


@given(st.binary(max_size=HEAD))
def test_whatever_comes_has_a_type(head: bytes) -> None:
    assert "/" in sniff(head)


def test_a_family_has_all_its_types_but_those_with_scripts() -> None:
    types = ("image", "application/pdf")
    assert [
        mime
        for mime in ("image/png", "image/svg+xml", "application/pdf", "text/plain")
        if allowed(mime, types)
    ] == [
        "image/png",
        "application/pdf",
    ]
    assert allowed("image/svg+xml", ("image/svg+xml",))


@pytest.mark.parametrize(
    ("name", "mime", "clean"),
    [
        ("swifts.jpg", "image/jpeg", "swifts.jpg"),
        ("swifts.JPEG", "image/jpeg", "swifts.JPEG"),
        ("swifts", "image/png", "swifts.png"),
        ("swifts.exe", "image/png", "swifts.exe.png"),
        ("../../etc/passwd", "text/plain", "passwd"),
        ("C:\\Users\\anna\\swifts.png", "image/png", "swifts.png"),
        ("a\u202egnp.exe", "application/pdf", "a gnp.exe.pdf"),
        ("", "image/png", "image.png"),
        ("...", "application/octet-stream", "file"),
        ('a<b>"c".png', "image/png", "a_b__c_.png"),
    ],
)
def test_a_name_is_harmless_and_fits(name: str, mime: str, clean: str) -> None:
    assert clean_name(name, mime) == clean


@given(st.text(max_size=300), st.sampled_from(["image/png", "text/plain", "application/octet-stream", ""]))
def test_whatever_it_is_called_the_name_is_short_and_stays_in_its_folder(name: str, mime: str) -> None:
    clean = clean_name(name, mime)
    assert 0 < len(clean) <= MAX_NAME
    assert "/" not in clean
    assert "\\" not in clean
    assert clean.isprintable()
    clean.encode()
