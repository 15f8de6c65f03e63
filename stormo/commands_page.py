"""The reference of all commands, generated from their declarations: ``python -m stormo.commands_page``."""

from __future__ import annotations

from pathlib import Path

from core.commands import COMMANDS, Arg, CommandSpec, Kind, Who
from core.errors import message
from stormo.words import Catalogue

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
_WHO = {
    Who.ANYONE: "everybody",
    Who.MEMBER: "members (`/join` makes you one)",
    Who.ADMIN: "the room's admins, by that platform's own rights",
    Who.MODERATOR: "who may remove messages in the room",
    Who.OPERATOR: "the operator of the instance",
}
_HEAD = """# Commands

Generated from `core/commands.py`; do not edit by hand (`python -m stormo.commands_page` writes it anew).

On Discord these are slash commands with typed fields. On Telegram they are written as here. On Matrix a command
begins with `!`, or with the bot's name, or with nothing in a private chat with it. An optional field that stands before
a text is written `name:value`, as in `/post visibility:public Hello`.
"""


def page() -> str:
    """The whole page as Markdown, in English."""
    words = Catalogue()

    def say(id_: str) -> str:
        return words(message(id_, p="/"), "en")

    specs = [(f"{spec.name} {verb.name}", verb) for spec in COMMANDS for verb in spec.verbs]
    specs += [(spec.name, spec) for spec in COMMANDS if not spec.verbs]
    order = {spec.name: index for index, spec in enumerate(COMMANDS)}
    specs.sort(key=lambda pair: order[pair[0].split()[0]])
    return _HEAD + "".join(
        _section(name, spec, say(f"command.{name.replace(' ', '.')}")) for name, spec in specs
    )


def _section(name: str, spec: CommandSpec, text: str) -> str:
    fields = "".join(f" {_field(arg, spec)}" for arg in spec.args)
    examples = ", ".join(f"`/{example}`" for example in spec.examples)
    return f"\n## /{name}\n\n`/{name}{fields}`\n\n{text}\n\nWho: {_WHO[spec.who]}. Examples: {examples}\n"


def _field(arg: Arg, spec: CommandSpec) -> str:
    shape = "|".join(arg.choices) if arg.choices else arg.name.upper()
    before_text = any(later.kind is Kind.TEXT for later in spec.args[spec.args.index(arg) + 1 :])
    if not arg.required and before_text:
        shape = f"{arg.name}:{shape}"
    return shape if arg.required else f"[{shape}]"


if __name__ == "__main__":
    PAGE.write_text(page())
