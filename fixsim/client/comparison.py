"""What came back then and now, order by order: equal, different, or missing."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from fixsim.fix import tags
from fixsim.fix.codec import show
from fixsim.fix.message import Message

#: Fields that differ whenever a log is replayed: framing, numbers, times, and ids that the exchange gives.
VOLATILE: Final = frozenset({8, 9, 10, 34, 49, 56, 52, 60, 43, 122, 369, 37, 17, 19, 198, 527, 880, 322, 45, 75})
#: By which field an answer names what it answers, the first it has.
KEYS: Final = (11, 262, 320, 131, 117, 66, 335, 584, 568)
#: Ids that a client gives: they get the prefix.
CLIENT_IDS: Final = frozenset({11, 41, 526, 583, 66, 117, 131, 262, 320, 324, 335, 568, 584, 790})

EQUAL: Final = "equal"
DIFFERENT: Final = "different"
MISSING: Final = "missing"


@dataclass
class OrderStory:
    """One order, or another request, of a session, under the first id it had: how many answers then and now."""

    session: str
    id: str
    verdict: str
    logged: int
    came: int
    #: The first answer that differs, from 1, and its fields as (tag, then, now); None for absent.
    answer: int | None = None
    differences: list[tuple[int, str | None, str | None]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


class Answers:
    """Answers of one session, gathered by what they answer. `seqs` maps MsgSeqNum(34) of requests to their ids."""

    def __init__(self, prefix: bytes = b"") -> None:
        self._prefix = prefix
        self.by_id: dict[bytes, list[Message]] = {}
        self.seqs: dict[int, bytes] = {}

    def add(self, message: Message) -> None:
        """Take an answer."""
        key = next((value for tag in KEYS if (value := message.get(tag)) is not None), None)
        if key is None:
            ref = message.get_int(tags.REF_SEQ_NUM)
            key = self.seqs.get(ref or 0, b"")
        self.by_id.setdefault(self.plain(key), []).append(message)

    def plain(self, text: bytes) -> bytes:
        """An id without the prefix."""
        return text.removeprefix(self._prefix)

    def comparable(self, message: Message) -> list[tuple[int, bytes]]:
        """What of an answer must be the same."""
        return [
            (tag, self.plain(value) if tag in CLIENT_IDS else value) for tag, value in message.fields if tag not in VOLATILE
        ]


def compare(session: str, requests: Iterable[Message], logged: Answers, came: Answers) -> list[OrderStory]:
    """The stories of one session's `requests`, as the log has them. Replaces belong to the order they replace."""
    roots: dict[bytes, bytes] = {}
    for request in requests:
        own = next((value for tag in KEYS if (value := request.get(tag)) is not None), b"")
        orig = request.get(tags.ORIG_CL_ORD_ID)
        roots.setdefault(own, roots.get(orig, own) if orig is not None else own)
    for key in (*logged.by_id, *came.by_id):
        roots.setdefault(key, key)
    members: dict[bytes, list[bytes]] = {}
    for key, root in roots.items():
        members.setdefault(root, []).append(key)
    return [_story(session, root, keys, logged, came) for root, keys in members.items()]


def _story(session: str, root: bytes, keys: list[bytes], logged: Answers, came: Answers) -> OrderStory:
    """Answers are compared id by id: what a replace is told may overtake what its order is told, each in itself may not."""
    then = [message for key in keys for message in logged.by_id.get(key, ())]
    now = [message for key in keys for message in came.by_id.get(key, ())]
    story = OrderStory(session, show(root), EQUAL, len(then), len(now))
    for number, (before, after) in enumerate(zip(then, now, strict=False), 1):
        differences = _differences(logged.comparable(before), came.comparable(after))
        if differences:
            story.verdict, story.answer, story.differences = DIFFERENT, number, differences
            return story
    if len(then) != len(now):
        story.verdict, story.answer = (MISSING if len(now) < len(then) else DIFFERENT), min(len(then), len(now)) + 1
    return story


def _differences(before: list[tuple[int, bytes]], after: list[tuple[int, bytes]]) -> list[tuple[int, str | None, str | None]]:
    """Fields that are not the same, by tag; the order of fields is not looked at."""
    found = []
    for tag in dict.fromkeys(tag for tag, _ in (*before, *after)):
        then, now = ([show(value) for this, value in side if this == tag] for side in (before, after))
        if then != now:
            found.append((tag, " ".join(then) if then else None, " ".join(now) if now else None))
    return found
