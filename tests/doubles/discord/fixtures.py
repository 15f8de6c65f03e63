"""Pytest fixtures; a conftest.py imports what it offers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.doubles.discord.double import DiscordDouble


@pytest_asyncio.fixture
async def discord_double() -> AsyncIterator[DiscordDouble]:
    """A running double. Afterwards nothing may have been accepted or answered against the description."""
    async with DiscordDouble() as double:
        yield double
        assert not double.violations, double.violations
        assert not double.broken, double.broken
        assert not double.not_done, double.not_done
