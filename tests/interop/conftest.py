"""One exchange for the tests that leave it alive."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import QuickFixClient, ServerProcess

#: The first start may compile kernels, and nothing is ready before that.
TIMEOUT_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder time for a cold start."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """`fixsim serve --fresh` with the built-in configuration, the house included."""
    with ServerProcess() as server:
        yield server


@pytest.fixture(autouse=True)
def no_client_outlives_its_test() -> Iterator[None]:
    """A test that fails leaves no QuickFIX thread behind."""
    yield
    QuickFixClient.drop_all()
