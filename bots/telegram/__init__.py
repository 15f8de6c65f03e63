"""Telegram, through its Bot API: python-telegram-bot speaks it, the waiting and the order are ours."""
