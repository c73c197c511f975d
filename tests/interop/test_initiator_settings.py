"""The ready-made settings under sessions/initiators: each loads in QuickFIX and logs on."""

import datetime
import ipaddress
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import quickfix
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness import ROOT, QuickFixClient, RecordingProxy, ServerProcess, order

from fixsim.cli.main import main
from fixsim.fix import tags
from fixsim.gateway.credentials import hash_password

SETTINGS = sorted((ROOT / "sessions" / "initiators").glob("*.cfg"))


def settled(path: Path, port: int, directory: Path) -> Path:
    """A copy of ready-made settings for another port, its files out of the way."""
    text = path.read_text()
    text = text.replace("SocketConnectPort=9878", f"SocketConnectPort={port}")
    text = text.replace("fixsim-client/", f"{directory}/")
    text = text.replace("=spec/FIX44.xml", f"={ROOT}/spec/FIX44.xml")
    copy = directory / path.name
    copy.write_text(text)
    return copy


class ReadyMade(QuickFixClient):
    """The client of the harness with settings as they are shipped, and what a user's code adds to them."""

    def __init__(self, path: Path, port: int, directory: Path) -> None:
        super().__init__(port, directory)
        self._settings = settled(path, port, directory)
        values = dict(
            line.split("=", 1) for line in self._settings.read_text().splitlines() if "=" in line and line[0] != "#"
        )
        if "Username" in values:
            self.credentials = (values["Username"], values["Password"])


def authority(directory: Path) -> None:
    """A certificate for 127.0.0.1 that is its own authority: server.pem, server.key, authority.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (directory / "server.pem").write_bytes(pem)
    (directory / "authority.pem").write_bytes(pem)
    plain = serialization.NoEncryption()
    style = serialization.PrivateFormat.PKCS8
    (directory / "server.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, style, plain))


@pytest.fixture(scope="module")
def secure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Path]]:
    """An exchange with TLS that knows the trader of secure.cfg, and the folder of its certificate."""
    directory = tmp_path_factory.mktemp("secure")
    authority(directory)
    config = (ROOT / "sessions" / "exchange.toml").read_text()
    config += f"""
[tls]
certificate = "{directory}/server.pem"
private_key = "{directory}/server.key"

[[counterparties]]
sender_comp_id = "SECURE"
username = "trader"
password_hash = "{hash_password(b"change-me")}"
"""
    (directory / "exchange.toml").write_text(config)
    with ServerProcess(config=directory / "exchange.toml") as server:
        yield server, directory


def test_there_are_settings_for_each_taste() -> None:
    assert [path.stem for path in SETTINGS] == ["persistent", "plain", "secure"]


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_ready_made_settings_name_the_default_start(path: Path) -> None:
    section = quickfix.SessionSettings(str(path))
    text = path.read_text()
    for line in ("TargetCompID=FIXSIM", "SocketConnectHost=127.0.0.1", "SocketConnectPort=9878"):
        assert line in text.splitlines()
    assert section.getSessions()


@pytest.mark.parametrize("stem", ["plain", "persistent"])
def test_ready_made_settings_log_on_and_trade(server: ServerProcess, tmp_path: Path, stem: str) -> None:
    path = ROOT / "sessions" / "initiators" / f"{stem}.cfg"
    with ReadyMade(path, server.port, tmp_path) as client:
        client.send("D", order(f"{stem}-{os.getpid()}", "1", 1, "AAPL"))
        client.expect(1, exec_type="F")
    with ReadyMade(path, server.port, tmp_path) as client:
        logon = next(message for message in client.admin if message.msg_type == b"A")
        assert (logon.get(tags.MSG_SEQ_NUM) == b"1") is (stem == "plain")


def tunnel(server: ServerProcess, folder: Path) -> RecordingProxy:
    """TLS to the exchange: QuickFIX from PyPI is built without it."""
    return RecordingProxy(
        server.host, server.port, ssl.create_default_context(cafile=folder / "authority.pem")
    )


def test_the_secure_settings_log_on_with_password_and_tls(
    secure_server: tuple[ServerProcess, Path], tmp_path: Path
) -> None:
    with tunnel(*secure_server) as proxy:
        path = ROOT / "sessions" / "initiators" / "secure.cfg"
        with ReadyMade(path, proxy.port, tmp_path) as client:
            client.send("D", order("S1", "1", 1, "AAPL"))
            client.expect(1, exec_type="F")


def test_a_wrong_password_is_refused_with_a_reason(
    secure_server: tuple[ServerProcess, Path], tmp_path: Path
) -> None:
    with tunnel(*secure_server) as proxy:
        client = ReadyMade(ROOT / "sessions" / "initiators" / "secure.cfg", proxy.port, tmp_path)
        client.credentials = ("trader", "guess")
        client.start(wait=False)
        client.wait(lambda: any(message.msg_type == b"5" for message in client.admin), "a Logout")
        client.drop()
        assert client.logons == 0


def test_our_own_client_logs_on_with_password_and_tls(
    secure_server: tuple[ServerProcess, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server, folder = secure_server
    ask = ["client", "--port", str(server.port), "--sender", "SECURE", "--username", "trader", "book", "AAPL"]
    for password, code in (("change-me", 0), ("guess", 1)):
        monkeypatch.setenv("FIXSIM_PASSWORD", password)
        with pytest.raises(SystemExit) as ended:
            main([*ask, "--ca", str(folder / "authority.pem")])
        assert ended.value.code == code
    with pytest.raises(SystemExit):
        main([*ask, "--tls"])  # nobody told us to trust this authority
    told = capsys.readouterr().err
    assert "Invalid Username(553) or Password(554)" in told
    assert "no TLS connection" in told
