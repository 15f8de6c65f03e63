"""The reference of the command line is what the parser says."""

from stormo.cli_page import PAGE, page


def test_the_page_is_generated_from_the_parser() -> None:
    assert PAGE.read_text() == page(), "run: python -m stormo.cli_page"
