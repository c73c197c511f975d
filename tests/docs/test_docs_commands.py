"""Every command is in the pages, and what the pages call a command is one, options included."""

import re

from pages import commands, documented_commands

#: Not a command or an option: what a page puts in its place.
BLANK = re.compile(r"^(\[.*|.*\]|\.\.\.|…|[A-Z|<>-]+)$")


def test_every_command_is_in_the_pages() -> None:
    written = {tuple(words) for _, words in documented_commands()}
    for command in commands():
        assert any(words[: len(command)] == command for words in written), f"fixsim {' '.join(command)} is in no page"


def test_every_command_in_the_pages_exists_with_its_options() -> None:
    known = commands()
    for place, words in documented_commands():
        for spelled in _spelled_out(words):
            command: tuple[str, ...] = ()
            while len(spelled) > len(command) and (*command, spelled[len(command)]) in known:
                command = (*command, spelled[len(command)])
            rest = spelled[len(command) :]
            is_group = any(len(other) == len(command) + 1 and other[: len(command)] == command for other in known)
            if is_group and rest and not BLANK.match(rest[0]):
                assert rest[0].startswith("-"), f"{place}: fixsim {' '.join(words)}: no such command"
            for word in rest:
                option = word.strip("[]").partition("=")[0]
                if option.startswith("--") and len(option) > 2:
                    assert option in known[command], f"{place}: fixsim {' '.join(words)}: no option {option}"


def _spelled_out(words: list[str]) -> list[list[str]]:
    """`journal ls|cat` as both commands it means."""
    spelled: list[list[str]] = [[]]
    for word in words:
        choices = word.split("|") if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word) else [word]
        spelled = [[*before, choice] for before in spelled for choice in choices]
    return spelled
