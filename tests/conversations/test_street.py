"""The conversation scripts over a real socket, a real exchange and its journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conversations import script
from conversations.street import SETTINGS, StreetPeer, Streets


def is_for_a_venue(path: Path) -> bool:
    """Whether a venue can be set up and act as the script wants: it never dials, nor speaks of itself."""
    lines = script.read(path)
    settings = {line.argument.split(" ")[0] for line in lines if line.verb == "set"}
    actions = {line.argument.split(" ")[0] for line in lines if line.verb == "do"}
    return settings <= SETTINGS and actions <= {"logout", "sleep"}


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streets]:
    streets = Streets(tmp_path_factory.mktemp("streets"))
    yield streets
    streets.close()


@pytest.fixture
def peer(streets: Streets) -> Iterator[StreetPeer]:
    peer = StreetPeer(streets)
    yield peer
    peer.hang_up()


@pytest.mark.parametrize("path", [path for path in script.scripts() if is_for_a_venue(path)], ids=lambda path: path.stem)
def test_the_venue_keeps_to_the_script(path: Path, peer: StreetPeer) -> None:
    script.run(path, peer)
