"""With a PostgreSQL server of the user's: the same rows, the same answers, and still nothing but reading."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from audit_stage import Stage, tell_story
from test_shipping import stored

from fixsim.audit.database import open_database
from fixsim.audit.server import ADMIN, Server
from fixsim.audit.shipper import Shipper
from fixsim.cli.main import main


async def run(server: Server, sql: str) -> None:
    connection = await asyncpg.connect(**server.connection(ADMIN))
    await connection.execute(sql)
    await connection.close()


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """A superuser's URL of an empty database, as a user's own server would have it."""
    server.start()
    asyncio.run(run(server, "CREATE DATABASE theirs"))
    login = server.connection(ADMIN)
    yield f"postgresql://{ADMIN}:{login['password']}@/theirs?host={quote(login['host'])}"
    asyncio.run(run(server, "DROP DATABASE theirs WITH (FORCE)"))


def audit(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["audit", *arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_rows_and_answers_are_the_same(url: str, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lag = json.loads(audit(capsys, "lag", "--database-url", url, "--json")[1])
    assert lag["messages_shipped"] == 0
    stage = Stage(data_dir)
    tell_story(stage)
    stage.close()

    async def ship() -> None:
        database = open_database(data_dir, url)
        shipper = Shipper(data_dir, database)
        shipper.finish.set()
        assert await shipper.run()
        assert await stored(database) == stage.said  # type: ignore[arg-type]

    asyncio.run(ship())
    assert audit(capsys, "order", "S1", "--database-url", url)[0] == 0
    code, out, _ = audit(capsys, "lag", "--database-url", url, "--data-dir", str(data_dir), "--json")
    assert code == 0 and json.loads(out)["messages_behind"] == 0
    elsewhere = ("--database-url", url, "--data-dir", str(tmp_path / "none"), "--json")
    lag = json.loads(audit(capsys, "lag", *elsewhere)[1])
    assert lag["messages_behind"] is None and lag["messages_shipped"] == len(stage.said)
    code, out, _ = audit(capsys, "sql", "SELECT current_user", *elsewhere)
    assert code == 0 and json.loads(out) == [{"current_user": "fixsim_reader"}]
    for sql in ("COPY (SELECT 1) TO PROGRAM 'true'", "DELETE FROM fixsim.cursor RETURNING 1", "SELECT * FROM pg_authid"):
        assert audit(capsys, "sql", sql, *elsewhere)[0] == 2


def test_a_server_that_cannot_be_reached_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = audit(capsys, "trades", "--database-url", "postgresql://me:secret@127.0.0.1:1/nowhere")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "127.0.0.1:1/nowhere cannot be reached" in err and "secret" not in err
