"""`fixsim client`: a FIX initiator at a prompt, or one request from a script."""

import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fixsim.cli.output import FINDING, GOOD
from fixsim.errors import UsageError

if TYPE_CHECKING:
    from fixsim.client.desk import Client
    from fixsim.client.grammar import Request
    from fixsim.client.teller import Teller
    from fixsim.client.wire import WireOptions

#: Where a password is looked for when none is asked for: the environment, or the file given with --env-file.
PASSWORD_VARIABLE: Final = "FIXSIM_PASSWORD"

REQUEST_HELP: Final = (
    "buy 100 AAPL @ 187.25, sell 5 AAPL market, cancel ID, replace ID 200 @ 187.30, status ID, symbols, book AAPL. "
    "Without a request: a prompt, or the lines of standard input."
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Words = Annotated[list[str] | None, typer.Argument(metavar="[REQUEST]...", help=REQUEST_HELP)]
Host = Annotated[str, typer.Option(help="Where the exchange listens.")]
Port = Annotated[int, typer.Option(help="Its FIX port.")]
Sender = Annotated[str, typer.Option(help="SenderCompID(49): who we are.")]
Target = Annotated[str, typer.Option(help="TargetCompID(56): who the exchange is.")]
Username = Annotated[str | None, typer.Option(help="Username(553) of the Logon.")]
Password = Annotated[bool, typer.Option("--password", help="Ask for the Password(554).")]
EnvFile = Annotated[Path | None, typer.Option(help=f"File with a line {PASSWORD_VARIABLE}=... instead.")]
Tif = Annotated[str | None, typer.Option(help="day, gtc, ioc, fok, open or close; day when not given.")]
ClOrdId = Annotated[str | None, typer.Option("--id", help="ClOrdID(11) of the order or request.")]
Account = Annotated[str | None, typer.Option(help="Account(1) of the order.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds an answer is waited for.")]
StorePath = Annotated[Path | None, typer.Option(help="Continue the session kept in this directory, not a new run.")]
Resume = Annotated[bool, typer.Option("--continue", help="Continue the session kept in the user's state directory.")]
Tls = Annotated[bool, typer.Option("--tls", help="Connect with TLS.")]
Authority = Annotated[Path | None, typer.Option(help="PEM file of the authority to trust; implies --tls.")]
Certificate = Annotated[Path | None, typer.Option(help="PEM file with our certificate and key; implies --tls.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per message.")]


@app.command()
def client(
    words: Words = None,
    host: Host = "127.0.0.1",
    port: Port = 9878,
    sender: Sender = "CLIENT",
    target: Target = "FIXSIM",
    username: Username = None,
    password: Password = False,
    env_file: EnvFile = None,
    tif: Tif = None,
    cl_ord_id: ClOrdId = None,
    account: Account = None,
    timeout: Timeout = 5.0,
    store: StorePath = None,
    resume: Resume = False,
    tls: Tls = False,
    ca: Authority = None,
    certificate: Certificate = None,
    json: Json = False,
) -> None:
    """Trade: a FIX initiator at a prompt, or one request from a script.

    Exit codes: 0 accepted, 1 refused or no answer, 2 a mistake on the command line.
    """
    from fixsim.client.desk import Client
    from fixsim.client.grammar import sayable
    from fixsim.client.store import FileStore
    from fixsim.client.teller import Teller

    for text in (sender, target, username or ""):
        sayable(text)
    request = _request(words, {"tif": tif, "id": cl_ord_id, "account": account})
    if resume and store is None:
        store = _state_directory(f"{host}-{port}-{sender}-{target}")
    teller = Teller(json)
    options: WireOptions = {
        "username": username,
        "password": read_password(password, env_file),
        "tls": tls_context(tls, ca, certificate),
        "store": None if store is None else FileStore(store),
        "timeout_s": timeout,
        "on_message": teller.show,
    }
    with Client(host, port, sender, target, **options) as desk:
        good = teller.perform(desk, request) if request is not None else _converse(desk, teller)
    raise typer.Exit(GOOD if good else FINDING)


def _request(words: list[str] | None, given: dict[str, str | None]) -> "Request | None":
    """The request of the command line, None for a conversation. Raises UsageError."""
    from fixsim.client.grammar import PROMPT_VERBS, parse

    options = {name: value for name, value in given.items() if value is not None}
    if not words:
        if options:
            raise UsageError(f"--{next(iter(options))} belongs to a request")
        return None
    request = parse(words, options)
    if request.verb in PROMPT_VERBS:
        raise UsageError(f"{request.verb} belongs to the prompt")
    return request


def _converse(desk: "Client", teller: "Teller") -> bool:
    from fixsim.client.prompt import run_pipe, run_prompt

    if not sys.stdin.isatty():
        return run_pipe(desk, teller)
    teller.remark(f"logged on to {desk.place}; help for the commands, quit to leave")
    run_prompt(desk, teller)
    return True


def _state_directory(name: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "fixsim" / "client" / name


def read_password(ask: bool, env_file: Path | None) -> str | None:
    """The password, never from the command line, where everybody could read it."""
    if ask:
        found = str(typer.prompt("password", hide_input=True, err=True))
    elif env_file is not None:
        found = _from_file(env_file)
    else:
        found = os.environ.get(PASSWORD_VARIABLE, "")
    if not found:
        return None
    if not found.isprintable():  # half characters are not printable either
        raise UsageError("the password holds characters that cannot be said in FIX")
    return found


def _from_file(env_file: Path) -> str:
    for line in env_file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() == PASSWORD_VARIABLE:
            return value.strip().strip("'\"")
    raise UsageError(f"{env_file}: no line {PASSWORD_VARIABLE}=...")


def tls_context(wanted: bool, ca: Path | None, certificate: Path | None) -> ssl.SSLContext | None:
    """How to connect with TLS, None for plain TCP. Raises UsageError for files that cannot be used."""
    if not (wanted or ca or certificate):
        return None
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        if certificate is not None:
            context.load_cert_chain(certificate)
    except OSError as error:
        raise UsageError(f"--ca or --certificate: {error.strerror or error}") from error
    return context
