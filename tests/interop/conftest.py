"""One exchange for the tests that leave it alive."""

from collections.abc import Iterator

import pytest
from harness import ServerProcess


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """`fixsim serve --fresh` with the built-in configuration, the house included."""
    with ServerProcess() as server:
        yield server
