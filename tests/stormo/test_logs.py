"""No secret reaches the log, whichever way it comes, and times are in UTC."""

from __future__ import annotations

import logging

import pytest

from stormo.logs import Redacting

TELEGRAM = "123456789:AAGxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"


def line(text: str, *args: object, secrets: tuple[str, ...] = (), exc: BaseException | None = None) -> str:
    info = (type(exc), exc, exc.__traceback__) if exc else None
    record = logging.LogRecord("stormo.x", logging.INFO, __file__, 1, text, args, info)
    record.created = 86400.25
    record.msecs = 250
    return Redacting(secrets).format(record)


def test_a_line_has_utc_time_level_and_source() -> None:
    assert line("hello %s", "you") == "1970-01-02T00:00:00.250Z INFO    stormo.x: hello you"


@pytest.mark.parametrize("shape", [TELEGRAM, "syt_c3Rvcm1v_abcdef", "a" * 24 + ".abcdef." + "b" * 30])
def test_tokens_are_known_by_their_shape(shape: str) -> None:
    assert shape not in line("POST https://api.example.org/bot%s/sendMessage", shape)


def test_the_configs_secrets_are_taken_out_of_arguments_and_tracebacks() -> None:
    try:
        raise RuntimeError("refused for hunter2hunter2")
    except RuntimeError as error:
        text = line("failed with %s", "hunter2", secrets=("hunter2", "hunter2hunter2"), exc=error)
    assert "hunter2" not in text
    assert "[secret]" in text
    assert "RuntimeError" in text


def test_a_password_in_an_address_is_taken_out() -> None:
    assert line("postgresql://stormo:pw@host/db").endswith("postgresql://[secret]@host/db")


def test_words_that_only_look_alike_stay() -> None:
    text = "chat 12:30, 2026-11-22T10:00:00Z, https://example.org/a:b"
    assert line(text).endswith(text)
