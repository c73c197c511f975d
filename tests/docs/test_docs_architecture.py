"""The floors of the house, as `docs/architecture.md` has them: imports only go down."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from pages import ROOT

PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "fixsim"
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| .* \|$", re.M)
#: Rooms that get time, bytes and chance as arguments.
PURE = ("errors", "units", "limits", "layout", "config", "fix", "engine", "session", "journal", "reference", "exchange")
WORLD = {"time", "socket", "asyncio", "random", "select", "selectors", "secrets", "uuid"}


def floors() -> dict[str, set[str]]:
    """What each room may import, from the lowest up; `cli` may import everything."""
    text = PAGE.read_text(encoding="utf-8").partition("## Rooms and floors")[2].partition("\n## ")[0]
    rows = ROW.findall(text)
    rooms = {room for room, _ in rows}
    return {room: rooms if may == "everything" else set(re.findall(r"`(\w+)`", may)) for room, may in rows}


def sources() -> Iterator[tuple[str, Path]]:
    """(room, file) of the whole package."""
    for file in sorted(PACKAGE.rglob("*.py")):
        inside = file.relative_to(PACKAGE)
        yield (inside.parts[0] if len(inside.parts) > 1 else inside.stem), file


def imports(file: Path) -> Iterator[str]:
    """Full names of the modules a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are written out in full"
            module = node.module or ""
            yield from (f"fixsim.{alias.name}" for alias in node.names) if module == "fixsim" else (module,)


def test_every_room_has_its_floor() -> None:
    assert set(floors()) == {room for room, _ in sources()} - {"__init__"}


def test_the_table_itself_only_goes_down() -> None:
    below: set[str] = set()
    for room, may in floors().items():
        assert may - {room} <= below | ({"cli"} if room == "cli" else set()), room
        below.add(room)


def test_imports_only_go_where_the_table_allows() -> None:
    allowed = floors()
    for room, file in sources():
        for module in imports(file):
            owner, _, rest = module.partition(".")
            target = rest.partition(".")[0]
            if owner == "fixsim" and target not in ("", "__version__", room):
                assert target in allowed.get(room, ()), f"{file.relative_to(ROOT)} imports {module}"


def test_nothing_is_allowed_that_nobody_needs() -> None:
    used: dict[str, set[str]] = {}
    for room, file in sources():
        used.setdefault(room, set()).update(name.split(".")[1] for name in imports(file) if name.startswith("fixsim."))
    for room, may in floors().items():
        if room != "cli":
            assert may <= used[room], f"{room} does not import {sorted(may - used[room])}"


def test_the_world_comes_in_as_arguments() -> None:
    for room, file in sources():
        found = {module.partition(".")[0] for module in imports(file)}
        if room in PURE:
            assert not found & WORLD, f"{file.relative_to(ROOT)} imports {sorted(found & WORLD)}"
        if room not in ("engine", "bench") and file.name != "loop.py":
            assert "numba" not in found, f"{file.relative_to(ROOT)} imports numba"
