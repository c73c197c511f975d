"""How kernels are compiled."""

import os

import pytest

from fixsim.engine import jit


@pytest.mark.skipif(not jit.IS_COMPILED, reason="without compilation there is nothing to see: the compiled run has this")
def test_a_kernel_is_compiled_once_whatever_constants_it_is_called_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "CACHED", False)

    @jit.kernel
    def weigh(value, factor, minus):
        return value * factor - minus

    @jit.kernel
    def weigh_often(value):
        return weigh(value, 2, minus=1) + weigh(value, 3, minus=4) + weigh(value, value, minus=value)

    assert weigh_often(10) == 19 + 26 + 90
    assert len(weigh.signatures) == 1


def test_kernels_are_kept_by_what_they_are_made_of() -> None:
    assert jit.cache_folder().name == f"kernels-{jit.kernel_digest()}"
    assert not jit.CACHED or os.access(jit.CACHE_FOLDER, os.W_OK)
