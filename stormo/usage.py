"""The sentences of argparse itself, in the operator's language."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Final

#: By what argparse calls them; sentences that only a programmer can bring about are left out.
_SENTENCES: Final[Mapping[str, str]] = {
    "usage: ": "cli.says.usage",
    "options": "cli.says.options",
    "positional arguments": "cli.says.positional",
    "show this help message and exit": "cli.says.help",
    "%(prog)s: error: %(message)s\n": "cli.says.error",
    "argument %(argument_name)s: %(message)s": "cli.says.argument",
    "invalid choice: %(value)r (choose from %(choices)s)": "cli.says.choice",
    "invalid %(type)s value: %(value)r": "cli.says.value",
    "the following arguments are required: %s": "cli.says.required",
    "unrecognized arguments: %s": "cli.says.unrecognized",
    "expected one argument": "cli.says.one",
    "ignored explicit argument %r": "cli.says.ignored",
}


def speak(words: Callable[[str], str]) -> None:
    """Argparse looks its sentences up in one name of its module, as gettext would have it.

    A sentence that another version of Python words differently stays in English.
    """

    def translated(sentence: str) -> str:
        id_ = _SENTENCES.get(sentence)
        if id_ is None:
            return sentence
        # A catalogue keeps no space or line's end at the end.
        return words(id_) + sentence[len(sentence.rstrip()) :]

    vars(argparse)["_"] = translated
