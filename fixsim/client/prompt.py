"""Lines from a terminal or a pipe, while the connection is kept alive and reports are shown as they come."""

import asyncio
import os
import select
import sys
from collections.abc import Iterator
from typing import Final

from fixsim.client.desk import Client
from fixsim.client.faults import ConnectionLost, NoAnswer
from fixsim.client.grammar import parse_line
from fixsim.client.teller import Teller
from fixsim.errors import UsageError

#: How often the connection is looked after while a person thinks.
PUMP_INTERVAL_S: Final = 0.05


def run_line(client: Client, teller: Teller, line: str) -> bool | None:
    """Carry out one line: accepted or not; None for `quit`. A mistake or a missing answer is told and
    counts as not accepted.
    """
    try:
        request = parse_line(line)
        if request is None:
            return True
        return None if request.verb == "quit" else teller.perform(client, request)
    except (UsageError, NoAnswer) as error:
        teller.remark(f"fixsim client: {error}")
        return False


def run_pipe(client: Client, teller: Teller) -> bool:
    """Carry out the lines of standard input; True when all were accepted. Raises ConnectionLost."""
    good = True
    for line in _piped_lines(client):
        accepted = run_line(client, teller, line)
        if accepted is None:
            break
        good = good and accepted
    return good


def _piped_lines(client: Client) -> Iterator[str]:
    """Lines of standard input; the connection is pumped while they are waited for."""
    stdin = sys.stdin.fileno()
    waiting = b""
    while True:
        readable, _, _ = select.select([stdin, client], [], [], 1.0)
        client.pump()
        if not client.connected:
            raise ConnectionLost(f"{client.place}: {client.why_closed}")
        if stdin not in readable:
            continue
        chunk = os.read(stdin, 65_536)
        *lines, waiting = (waiting + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="surrogateescape")
        if not chunk:
            yield waiting.decode(errors="surrogateescape")
            return


def run_prompt(client: Client, teller: Teller) -> None:
    """A prompt with history and editing until `quit` or the end of input. Raises ConnectionLost."""
    asyncio.run(_prompt(client, teller))


async def _prompt(client: Client, teller: Teller) -> None:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    prompt: PromptSession[str] = PromptSession("fixsim> ")
    with patch_stdout(raw=True):
        asking = asyncio.ensure_future(prompt.prompt_async())
        while client.connected:
            await asyncio.wait({asking}, timeout=PUMP_INTERVAL_S)
            client.pump()
            if not asking.done():
                continue
            try:
                line = asking.result()
            except (EOFError, KeyboardInterrupt):
                return
            if run_line(client, teller, line) is None:
                return
            asking = asyncio.ensure_future(prompt.prompt_async())
        asking.cancel()
    raise ConnectionLost(f"{client.place}: {client.why_closed}")
