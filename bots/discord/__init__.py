"""Discord, through discord.py. Inside this package ``import discord`` is always the SDK."""
