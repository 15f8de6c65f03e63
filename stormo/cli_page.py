"""The reference of the command line, generated from its parser: ``python -m stormo.cli_page``."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.errors import message
from stormo.cli import parser
from stormo.words import Catalogue

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "command-line.md"
_HEAD = """# The command line

Generated from `stormo/cli.py`; do not edit by hand (`python -m stormo.cli_page` writes it anew).

`stormo COMMAND --help` says the same in the terminal's language. A command ends with 0 when it is done, with 1 when it
went wrong, with 2 when the config or the command line cannot be used.
"""


def page() -> str:
    """The whole page as Markdown, in English."""
    words = Catalogue()
    top = parser(lambda id_: words(message(id_), "en"))
    (commands,) = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    return _HEAD + "".join(_section(name, command) for name, command in commands.choices.items())


def _section(name: str, command: argparse.ArgumentParser) -> str:
    taken = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]  # noqa: SLF001
    lines = "".join(f"* `{_shape(action)}`: {action.help}\n" for action in taken)
    return f"\n## stormo {name}\n\n{command.description}\n\n{lines}"


def _shape(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(action.choices) if action.choices else "")
    if action.option_strings:
        return ", ".join(action.option_strings) + (f" {value}" if action.nargs != 0 else "")
    return f"[{value}]" if action.nargs == "?" else str(value)


if __name__ == "__main__":
    PAGE.write_text(page())
