"""The examples in docs/audit.md give what they show."""

import re
import shlex
from pathlib import Path

import pytest
from audit_stage import Stage

from fixsim.audit import tables
from fixsim.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
EXAMPLES = re.findall(r"```console\n\$ fixsim (.*)\n((?:.*\n)*?)```", PAGE.read_text())
#: What differs from run to run: the clock of whoever asks.
CLOCK = re.compile(r"(written_at +).*")


def said(command: str, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints, without blanks at the ends of lines."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main([*shlex.split(command), "--data-dir", str(data_dir)])
    assert not left.value.code
    lines = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    return "".join(CLOCK.sub(r"\1...", line) + "\n" for line in lines)


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_an_example_gives_what_it_shows(
    command: str, shown: str, storied: Stage, server_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(command, server_home, capsys) == shown


def test_every_view_and_column_is_documented() -> None:
    page = PAGE.read_text()
    for name in tables.DOCUMENTED:
        assert f"**{name}**" in page
        for column in tables.views.tables[name].columns:
            documented = re.sub(r"^(buy|sell)_", "", column.name)
            assert f"`{documented}`" in page, f"{name}.{column.name}"
