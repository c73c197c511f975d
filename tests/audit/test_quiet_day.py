"""A day on which nobody did anything wrong gives no finding, in any report."""

from pathlib import Path

import pytest
from audit_stage import Stage

from fixsim.audit.surveillance import EVERY_ROW, REPORTS
from fixsim.cli.main import main


@pytest.mark.parametrize("name", REPORTS)
def test_a_quiet_day_finds_nothing(name: str, storied: Stage, server_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["audit", "report", name, "--data-dir", str(server_home)])
    said = capsys.readouterr()
    assert not left.value.code and "finding" not in said.err
    if REPORTS[name].findings == EVERY_ROW:
        assert said.out == "" and said.err.startswith("nothing found")
