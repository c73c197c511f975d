"""The house, kept in order: imports only go down, the core has no clock, no socket and no dice, and everything fits a screen.

Sources are read with `ast`; nothing is imported.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

HOUSE: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = HOUSE / "fixsim"

#: Rooms, from the ground up. The ground is a row of files, each of which may stand on those before it.
GROUND: Final = ("errors", "units", "limits", "layout", "config")
#: What each room may import, beside itself.
FLOORS: Final = {
    **{room: GROUND[:place] for place, room in enumerate(GROUND)},
    "fix": GROUND,
    "engine": (*GROUND, "fix.tags"),
    "session": (*GROUND, "fix"),
    "journal": (*GROUND, "fix"),
    "reference": ("errors", "config"),
    "exchange": (*GROUND, "fix", "engine", "session", "journal", "reference"),
    "feed": (*GROUND, "fix"),
    "audit": (*GROUND, "fix", "journal", "feed"),
    "console": (*GROUND, "fix", "journal", "feed"),
    "client": (*GROUND, "fix", "session"),
    "gateway": (*GROUND, "fix", "engine", "session", "journal", "reference", "exchange", "feed", "audit", "client"),
    "shadow": (*GROUND, "fix", "engine", "session", "journal", "reference", "exchange", "feed", "audit", "client", "gateway"),
    "bench": (*GROUND, "fix", "engine", "session", "journal", "reference", "exchange", "feed", "audit", "client", "gateway"),
}
#: Rooms in which the same inputs must always give the same outputs.
CORE: Final = (*GROUND, "fix", "engine", "session", "journal", "reference", "exchange")
#: Modules of the world outside. Preparing a segment ahead is the one thing in them that may take a thread.
WORLD: Final = frozenset({"time", "socket", "asyncio", "random", "secrets", "uuid", "select", "selectors", "subprocess"})
#: Calls that read a clock or throw dice.
WORLDLY: Final = re.compile(r"(datetime|date)\.(now|utcnow|today)|os\.urandom|(np|numpy)\.random\..*|time\.\w+")
#: Kernels are compiled here and nowhere else: the machine, and what measures it.
COMPILED: Final = ("engine", "bench")
#: The one file elsewhere that is compiled: sockets are the street's.
COMPILED_LOOP: Final = "gateway/loop.py"

FUNCTION_LINES_MAX: Final = 70
FILE_LINES_MAX: Final = 500
#: Tables: one line for each tag of the specification, for each field of a row.
TABLES: Final = frozenset({"fixsim/fix/tags.py", "fixsim/layout.py"})
UNFINISHED: Final = re.compile(r"#.*\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
#: Rooms that speak to people.
SPEAKING: Final = frozenset({"cli", "client"})


def name_of(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


SOURCES: Final = sorted(PACKAGE.rglob("*.py"))
OURS: Final = [*SOURCES, *sorted((HOUSE / "tests").rglob("*.py")), *sorted((HOUSE / "bench").rglob("*.py"))]


def room_of(path: Path) -> str:
    """The room a file of the package belongs to; empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) or parts == ("__main__",) else parts[0]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_there_are_rooms_to_look_at() -> None:
    assert {room_of(path) for path in SOURCES} >= set(FLOORS)


def test_imports_only_go_down() -> None:
    wrong = []
    for path in SOURCES:
        room = room_of(path)
        if room in ("", "cli"):
            continue
        allowed = [f"fixsim.{name}" for name in (*FLOORS[room], room)]
        for line, name in imports(path):
            if name.split(".")[0] != "fixsim" or name == "fixsim.__version__":
                continue
            if not any(name == below or name.startswith(below + ".") for below in allowed):
                wrong.append(f"{name_of(path)}:{line} may not import {name}")
    assert wrong == []


def test_the_oracle_shares_nothing_with_what_it_judges() -> None:
    for path in SOURCES:
        if room_of(path) == "reference":
            names = {name for _, name in imports(path) if name.startswith("fixsim.")}
            others = {name for name in names if not name.startswith("fixsim.reference.")}
            data = {name for name in others if name.startswith(("fixsim.config.breakers.", "fixsim.config.Limits"))}
            assert others - data <= {"fixsim.errors.GarbledMessage", "fixsim.config.Instrument", "fixsim.config.Permissions"}


def test_the_core_has_no_clock_no_socket_and_no_dice() -> None:
    wrong = []
    for path in SOURCES:
        if room_of(path) not in CORE:
            continue
        wrong += [f"{name_of(path)}:{line} {name}" for line, name in imports(path) if name.split(".")[0] in WORLD]
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and WORLDLY.fullmatch(ast.unparse(node.func)):
                wrong.append(f"{name_of(path)}:{node.lineno} {ast.unparse(node.func)}()")
    assert wrong == []


def test_kernels_are_compiled_in_their_rooms() -> None:
    for path in SOURCES:
        if room_of(path) not in COMPILED and not path.as_posix().endswith(COMPILED_LOOP):
            assert not any(name.split(".")[0] == "numba" for _, name in imports(path)), name_of(path)


def test_kernels_hold_no_floats() -> None:
    """Ticks, lots and nanoseconds are whole; a float would round."""
    for path in SOURCES:
        if room_of(path) != "engine" or path.name == "jit.py":
            continue
        for node in ast.walk(tree_of(path)):
            divides = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
            assert not divides and not is_float, f"{name_of(path)}:{node.lineno}"


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_files_and_functions_fit_a_screen(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if name_of(path) not in TABLES:
        assert text.count("\n") <= FILE_LINES_MAX, f"{name_of(path)} has more than one job"
    for node in functions(tree_of(path)):
        assert node.end_lineno is not None
        lines = node.end_lineno - node.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{name_of(path)}:{node.lineno} {node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_what_is_public_says_what_it_is(path: Path) -> None:
    """Every module, public class and public function has a docstring; a method that is told by its class' base need not."""
    tree = tree_of(path)
    assert ast.get_docstring(tree), f"{name_of(path)} does not say what it is"
    silent = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                silent.append(f"{name_of(path)}:{node.lineno} {node.name}")
    assert silent == []


def test_nothing_is_left_unfinished() -> None:
    left = [
        f"{name_of(path)}:{number} {line.strip()}"
        for path in OURS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert left == []


def test_only_rooms_that_speak_to_people_print() -> None:
    loud = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        if room_of(path) not in SPEAKING
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert loud == []


def test_no_test_is_skipped() -> None:
    """What cannot run somewhere is marked slow or is not a test; what needs a tool of the machine asks for it by name."""
    mark = re.compile(r"pytest\.mark\.(skip|xfail)\b|pytest\.skip\(")
    assert [name_of(path) for path in OURS if mark.search(path.read_text(encoding="utf-8")) and path != Path(__file__)] == []
