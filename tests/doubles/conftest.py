"""Fixtures of the doubles' own tests."""

from tests.doubles.discord.fixtures import discord_double
from tests.doubles.discord_bot import anna, channel, guild, pointed, start

__all__ = ["anna", "channel", "discord_double", "guild", "pointed", "start"]
