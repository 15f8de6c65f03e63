"""The fixture of our Bot API double, for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.doubles.telegram.double import TelegramDouble


@pytest_asyncio.fixture
async def telegram_double() -> AsyncIterator[TelegramDouble]:
    """A double of this test's own; at the end every exchange must have kept to the specification."""
    async with TelegramDouble() as double:
        yield double
    assert double.violations == []
