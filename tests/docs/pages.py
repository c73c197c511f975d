"""The pages a reader sees, cut into what can be checked: fenced blocks with their markers, links, commands.

A marker is an HTML comment in the line above a fence, `<!-- check: WORD -->`; the rendered page does not show it. Words:
`run` (a transcript or program that is run against an exchange), `serve` (how that exchange was started), `config` (a whole
configuration), `faults` and `faults expected`, `verdicts`. A block without a marker is held to what its language promises.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from fixsim.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "spec").glob("*.md")])

FENCE = re.compile(r"(?:^<!-- check: ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """One fenced block: where it stands, its language, its marker and its lines."""

    page: Path
    line: int
    language: str
    marker: str
    text: str

    @property
    def place(self) -> str:
        """For the name of a test: page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str, marker: str | None = None) -> list[Block]:
    """The blocks of all pages in one of `languages` (all when none is named), with `marker` when it is given."""
    found = [block for page in PAGES for block in _blocks_of(page)]
    return [
        block
        for block in found
        if (not languages or block.language in languages) and (marker is None or block.marker == marker)
    ]


def the_block(marker: str) -> Block:
    """The only block with `marker`."""
    (found,) = blocks(marker=marker)
    return found


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match[2], match[1] or "", match[3])


def without_fences(page: Path) -> str:
    """The prose and tables of a page."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def transcript(text: str) -> list[tuple[str, list[str]]]:
    """The commands behind `$ ` of a console block, each with the lines it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def commands() -> dict[tuple[str, ...], set[str]]:
    """Every command of fixsim by its words, with its options; groups have an entry of their own."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(words: tuple[str, ...], command: typer.core.TyperCommand | typer.core.TyperGroup) -> None:
        found[words] = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
        if isinstance(command, typer.core.TyperGroup):
            context = typer.Context(command)
            for name in command.list_commands(context):
                _, inner, _ = command.resolve_command(context, [name])
                walk((*words, name), inner)

    walk((), typer.main.get_command(app))
    return found


def documented_commands() -> Iterator[tuple[str, list[str]]]:
    """(place, words) of everything in the pages that reads as a fixsim command: in fences and in inline code."""
    for page in PAGES:
        place = str(page.relative_to(ROOT))
        for block in _blocks_of(page):
            lines = block.text.splitlines()
            if block.language not in ("sh", "bash"):
                lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
            for line in lines:
                for part in re.split(r"&&|\||;", line):
                    yield from _as_command(place, part)
        for code in re.findall(r"`([^`\n]+)`", without_fences(page)):
            yield from _as_command(place, code)


def _as_command(place: str, text: str) -> Iterator[tuple[str, list[str]]]:
    words = re.sub(r"^(\w+=\S+ )*(uv run )?", "", text.strip())
    if words == "fixsim" or (words.startswith("fixsim ") and not words.startswith("fixsim ready")):
        try:
            yield place, shlex.split(words)[1:]
        except ValueError:  # half a quotation, where a pipe was cut
            yield place, words.split()[1:]
