"""TLS on the FIX port, with and without client certificates."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from stage import Client, Stage, running, small

from fixsim.config import Tls, Venue
from fixsim.errors import VenueError
from fixsim.gateway.transport import tls_context


def issue(folder: Path, name: str, authority: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """Write `name.pem` and `name.key`; certificate and key. Signed by itself without an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (subject, key) if authority is None else (authority[0].subject, authority[1])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server and a client it vouches for, and a stranger that vouches for itself."""
    folder = tmp_path_factory.mktemp("papers")
    authority = issue(folder, "authority")
    issue(folder, "server", authority)
    issue(folder, "client", authority)
    issue(folder, "stranger")
    return folder


def server_context(papers: Path, client_ca: bool = False) -> ssl.SSLContext:
    ca = str(papers / "authority.pem") if client_ca else None
    return tls_context(Tls(str(papers / "server.pem"), str(papers / "server.key"), ca))


def client_context(papers: Path, name: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(papers / "authority.pem"))
    if name is not None:
        context.load_cert_chain(papers / f"{name}.pem", papers / f"{name}.key")
    return context


@pytest.fixture
def stage(papers: Path, tmp_path: Path) -> Iterator[Stage]:
    with running(small(Venue(logon_timeout_s=1)), tmp_path, server_context(papers)) as stage:
        yield stage


def test_a_session_over_tls(stage: Stage, papers: Path) -> None:
    with stage.client(tls=client_context(papers)) as client:
        client.log_on()
        client.socket.sendall(b"".join(client.order(f"T{number}") for number in range(2_000)))
        for number in range(2_000):
            assert client.expect("8").get(11) == b"T%d" % number
        client.say("5")
        client.expect("5")
        assert client.is_dropped()


def test_big_answers_over_tls_reach_a_slow_reader(stage: Stage, papers: Path) -> None:
    with stage.client(tls=client_context(papers)) as client:
        client.log_on()
        for _ in range(300):
            client.say("1", "112=" + "y" * 5_000)
        for number in range(300):
            assert client.expect("0").get_int(34) == number + 2


def test_plain_bytes_on_a_tls_port_are_dropped(stage: Stage) -> None:
    with Client(stage.port, "PLAIN") as client:
        client.say("A", "98=0|108=0|141=Y")
        client.socket.settimeout(5)
        with contextlib.suppress(ConnectionError):
            assert client.socket.recv(100)[:1] in (b"", b"\x15")  # nothing, or a TLS alert


def test_a_handshake_that_never_ends_is_not_waited_for(stage: Stage) -> None:
    with socket.create_connection(("127.0.0.1", stage.port)) as silent:
        silent.settimeout(5)
        assert silent.recv(1) == b""


def test_a_client_certificate_is_asked_for_and_checked(papers: Path, tmp_path: Path) -> None:
    with running(small(), tmp_path, server_context(papers, client_ca=True)) as stage:
        with stage.client(tls=client_context(papers, "client")) as client:
            client.log_on()
        for name in (None, "stranger"):
            with (
                pytest.raises((ssl.SSLError, ConnectionError, AssertionError)),
                stage.client(tls=client_context(papers, name)) as client,
            ):
                client.log_on()


def test_an_unusable_certificate_stops_the_start(papers: Path) -> None:
    with pytest.raises(VenueError, match=r"server\.pem"):
        tls_context(Tls(str(papers / "server.pem"), str(papers / "client.key")))
