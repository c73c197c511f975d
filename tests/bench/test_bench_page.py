"""The page of figures and its pictures are those of the newest results, and the result of a comparison has its shape."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parents[2]


def script(name: str, *arguments: str, expected: int = 0) -> str:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "bench" / name), *arguments], capture_output=True, text=True, check=False, timeout=170
    )
    assert ran.returncode == expected, ran.stdout + ran.stderr
    return ran.stdout


def test_the_page_has_the_newest_figures() -> None:
    assert script("page.py", "--check") == ""


def test_pictures_are_whole() -> None:
    for picture in ("curves", "peers", "peers-cpp"):
        root = ElementTree.parse(ROOT / "docs" / "pictures" / f"{picture}.svg").getroot()
        assert root.tag.endswith("svg") and len(root) > 10


def test_peers_are_compared_in_turns(tmp_path: Path) -> None:
    told = script(
        "peers.py", "--rounds", "1", "--orders", "1000", "--pings", "200", "--flows", "mix,latency", "--only",
        "fixsim,canned,simplefix", "--database-url", "none", "--out", str(tmp_path),
    )  # fmt: skip
    assert "fixsim is" in told
    (path,) = tmp_path.iterdir()
    found = json.loads(path.read_text())
    assert path.name.endswith("-peers.json") and found["machine"] and found["versions"] and "commit" in found
    assert [(row["peer"], row["what"]) for row in found["rows"]] == [
        (peer, what) for peer in ("fixsim", "canned", "simplefix") for what in ("mix", "latency")
    ]
    assert not any("error" in row for row in found["rows"])
    assert found["figures"]["fixsim"]["mix"]["orders_per_s"]["rounds"] == 1
    assert found["figures"]["canned"]["latency"]["p50_us"]["median"] > 0


def test_a_folder_without_a_generator_is_told(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "peers.py"), "--peers", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1 and ran.stderr == f"peers: no fixload in {tmp_path}\n"
