"""Every conversation script over the bare Session."""

from pathlib import Path

import pytest

from tests.conversations import script
from tests.conversations.core import CorePeer


@pytest.mark.parametrize("path", script.scripts(), ids=lambda path: path.stem)
def test_the_session_keeps_to_the_script(path: Path) -> None:
    script.run(path, CorePeer())
