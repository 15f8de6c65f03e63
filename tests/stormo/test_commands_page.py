"""The reference of the commands is what the code says."""

from core.commands import COMMANDS
from core.dispatch import ACTIONS
from stormo.commands_page import PAGE, page


def test_the_page_is_generated_from_the_declarations() -> None:
    assert PAGE.read_text() == page(), "run: python -m stormo.commands_page"


def test_every_command_has_its_action_and_the_reverse() -> None:
    plain = {spec.name for spec in COMMANDS if not spec.verbs}
    verbs = {f"{spec.name} {verb.name}" for spec in COMMANDS for verb in spec.verbs}
    assert plain | verbs == set(ACTIONS)
