"""The built wheel works without a checkout: dictionary, rules and configurations travel in it."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(600)


def uv(*arguments: str, cwd: Path = ROOT) -> None:
    """Run uv, which runs these tests or was installed beside them."""
    program = os.environ.get("UV") or shutil.which("uv")
    assert program is not None, "uv is not installed; see the README"
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("fixsim", "spec", "sessions"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    uv("build", "--wheel", "--out-dir", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `bin` of a virtual environment with the wheel; what it depends on comes from the environment of the tests."""
    environment = tmp_path_factory.mktemp("environment")
    uv("venv", "--python", sys.executable, str(environment))
    uv("pip", "install", "--python", str(environment / "bin" / "python"), "--no-deps", str(wheel))
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    yield environment / "bin"


def run(program: Path, *arguments: str, cwd: Path) -> str:
    """What an installed program prints, away from the checkout."""
    done = subprocess.run(
        [str(program), *arguments], cwd=cwd, env=stranger(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def stranger() -> dict[str, str]:
    """An environment that does not know the checkout. Kernels run as plain Python: compiling them again proves nothing here."""
    known = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**known, "NUMBA_DISABLE_JIT": "1"}


def test_the_wheel_holds_what_is_read_at_run_time(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("spec", "sessions"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file():
                assert f"fixsim/{file.relative_to(ROOT)}" in names
    assert "fixsim/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "bench/", "docs/")) or "__pycache__" in name]


def test_the_command_tells_its_version(installed: Path, wheel: Path, tmp_path: Path) -> None:
    assert run(installed / "fixsim", "--version", cwd=tmp_path) == f"fixsim {wheel.name.split('-')[1]}\n"


def test_dictionary_and_configurations_are_found_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    program = (
        "import fixsim; from fixsim.config import default_config, load, packaged; from fixsim.fix.dictionary import fix44\n"
        "print(fixsim.__file__); print(packaged('exchange.toml')); print(default_config().venue.comp_id)\n"
        "print(len(load(packaged('load.toml')).instruments), fix44().field_name(11))\n"
    )
    found = run(installed / "python", "-c", program, cwd=tmp_path).split()
    assert all(Path(name).is_relative_to(installed.parent) for name in found[:2]), found
    assert found[2:] == ["FIXSIM", "1", "ClOrdID"]


def test_the_exchange_starts_outside_the_checkout_and_leaves_on_sigterm(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "fixsim"), "serve", "--fresh", "--port", "0", "--database-url", "none"]
    exchange = subprocess.Popen(
        command, cwd=tmp_path, env=stranger(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert exchange.stdout is not None
        line = exchange.stdout.readline()
        found = re.fullmatch(r"fixsim ready fix 127\.0\.0\.1:(\d+) data \S+ database none pid (\d+)\n", line)
        assert found is not None, line or exchange.communicate()
        bought = run(installed / "fixsim", "client", "--port", found[1], "buy", "100", "AAPL", cwd=tmp_path)
        assert "Trade" in bought
        os.kill(int(found[2]), 15)
        assert exchange.wait(30) == 0
    finally:
        exchange.kill()
        exchange.communicate()
    assert list(tmp_path.iterdir()) == []
