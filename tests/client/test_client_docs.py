"""docs/client.md shows what there is: every request in it is understood, every verb and option is named."""

import re
from pathlib import Path

import pytest
import typer

from fixsim.cli.client import app
from fixsim.client.grammar import USAGE, parse_line

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
REQUESTS = re.findall(r"`fixsim client ([a-z][^`]+)`", TEXT)


def test_the_page_shows_requests() -> None:
    assert len(REQUESTS) >= 7


@pytest.mark.parametrize("request_", REQUESTS)
def test_each_request_on_the_page_is_understood(request_: str) -> None:
    assert parse_line(request_) is not None


@pytest.mark.parametrize("verb", USAGE)
def test_each_verb_is_on_the_page(verb: str) -> None:
    assert re.search(rf"\b{verb}\b", TEXT)


def test_each_option_is_on_the_page() -> None:
    options = [
        option for option in typer.main.get_command(app).params if option.param_type_name == "option"
    ]
    assert len(options) > 10
    names = {name for option in options for name in option.opts} - {"--help"}
    assert {name for name in names if not re.search(rf"`{name}\b", TEXT)} == set()


def test_the_library_example_compiles() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    compile(example, "docs/client.md", "exec")
