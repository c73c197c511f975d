"""Every conversation script over the bare Session, whole frames and one byte at a time."""

from pathlib import Path

import pytest

from conversations import script
from conversations.core import CorePeer


class SlowPeer(CorePeer):
    """Says one byte at a time."""

    def say(self, octets: bytes) -> None:
        for place in range(len(octets)):
            super().say(octets[place : place + 1])


@pytest.mark.parametrize("peer", [CorePeer, SlowPeer])
@pytest.mark.parametrize("path", script.scripts(), ids=lambda path: path.stem)
def test_the_session_keeps_to_the_script(path: Path, peer: type[CorePeer]) -> None:
    script.run(path, peer())


@pytest.mark.parametrize("path", script.scripts(), ids=lambda path: path.stem)
def test_a_script_begins_with_its_rule(path: Path) -> None:
    assert path.read_text().startswith("# ")


def test_a_script_that_is_not_kept_to_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.fix"
    path.write_text("# wrong\nconnect\n> 35=A|34=1|98=0|108=30|\n< 35=A|34=1|98=0|108=31|\n")
    with pytest.raises(AssertionError, match=r"wrong\.fix:4: .*\n108=31 is missing"):
        script.run(path, CorePeer())


@pytest.mark.parametrize("rest", ["", "> 35=0|34=2|\n", "closed\n"])
def test_a_script_must_hear_everything(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "deaf.fix"
    path.write_text(f"# deaf\nconnect\n> 35=A|34=1|98=0|108=30|\n{rest}")
    with pytest.raises(AssertionError, match=r"said and not expected|said before closing"):
        script.run(path, CorePeer())
