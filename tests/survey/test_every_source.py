"""Each source of a real look is taken away, cut short, emptied or filled with nonsense: only its own facts go.

The look is that of the reference set-up (tests/data/reference.kamtcp): everything that check asks on a real host.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from kamtcp.capacity.ceiling import Ceiling
from kamtcp.cli.document import document
from kamtcp.cli.report import text
from kamtcp.cli.wrap import Screen
from kamtcp.diagnose.verdict import Verdict, judge
from kamtcp.model.absent import Absent, Unlimited
from kamtcp.model.origin import Origin
from kamtcp.model.target import Target
from kamtcp.record.archive import Answer, Failed, Key, RpcFailed, TimedOut, load
from kamtcp.record.recorded import Recorded
from kamtcp.survey.take import take

REFERENCE = Path(__file__).parents[1] / "data/reference.kamtcp"
TARGET = Target(connections=20_000, tls=5000, rate=500, outbound={"192.0.2.9:5060": 2000})
SOFT = {Origin.PROBED, Origin.DEFAULT, Origin.REFERENCE, Origin.ASSUMED}
ANSWERS = load(REFERENCE).samples[0]


def kind(key: Key) -> str:
    """Keys that differ in numbers only are one source, and so are all sysctls."""
    named = re.sub(r"\d+", "N", repr(key[1:]))
    return "('read', '/proc/sys/…')" if "'read', '/proc/sys/" in named else named


SOURCES: dict[str, list[Key]] = {}
for each in ANSWERS:
    if each[1] != "reader":
        SOURCES.setdefault(kind(each), []).append(each)


def cut(answer: Answer) -> Answer:
    return answer[: len(answer) // 2] if isinstance(answer, bytes | str | tuple) else answer


def nonsense(answer: Answer) -> Answer:
    if isinstance(answer, bytes):
        return b"\xff\x00nonsense: -1 max 18446744073709551616\n" * 3
    return (
        "nonsense"
        if isinstance(answer, str)
        else ("nonsense", "-1", "²")
        if isinstance(answer, tuple)
        else answer
    )


def absurd(answer: Answer) -> Answer:
    """Every number is 2^64."""
    return re.sub(rb"\d+", b"18446744073709551616", answer) if isinstance(answer, bytes) else answer


def negative(answer: Answer) -> Answer:
    return re.sub(rb"\d+", b"-1", answer) if isinstance(answer, bytes) else answer


def more(answer: Answer) -> Answer:
    """What a newer kernel might append: another line, another column, another name."""
    return (
        answer + b"unknown 1 2 3\n"
        if isinstance(answer, bytes)
        else (*answer, "zzz")
        if isinstance(answer, tuple)
        else answer
    )


WAYS = {
    "denied": lambda _: Failed(errno.EACCES),
    "gone": lambda _: Failed(errno.ESRCH),
    "timed out": lambda _: TimedOut("no answer in 2 s"),
    "refused": lambda _: RpcFailed("reply cut after 3 bytes"),
    "empty": lambda answer: type(answer)() if isinstance(answer, bytes | str | tuple) else answer,
    "cut": cut,
    "nonsense": nonsense,
    "absurd": absurd,
    "negative": negative,
    "more": more,
}


def judged(answers: dict[Key, Answer]) -> Verdict:
    """Look, judge and write it all: nothing may be raised on the way."""
    snapshot = take(Recorded(answers))
    found = judge(snapshot, snapshot.instances[0] if snapshot.instances else None, TARGET)
    text(found, "options", Screen(80, colour=False, unicode=True))
    document(snapshot, ((found, "options"),), 0)
    return found


@pytest.fixture(scope="module")
def whole() -> Verdict:
    return judged(ANSWERS)


def height(ceiling: Ceiling) -> float:
    return float("inf") if isinstance(ceiling.at, Unlimited) else ceiling.at  # type: ignore[return-value]


@pytest.mark.parametrize("way", WAYS)
def test_a_source_that_fails_costs_its_own_facts_only(way, whole):
    """No exception, and what was taken away makes no ceiling higher without saying so."""
    before = {each.name: each for each in whole.ladder.all}
    for name, keys in SOURCES.items():
        try:
            found = judged({**ANSWERS, **{key: WAYS[way](ANSWERS[key]) for key in keys}})
        except Exception as error:  # whichever: say what it came from
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
        if way not in ("denied", "gone", "timed out"):
            continue
        if found.situation.instance is None:
            assert found.blind, f"without {name} a Kamailio may be there, unseen"
            continue
        for after in found.ladder.all:
            earlier = before.get(after.name)
            if earlier is None or isinstance(after.at, Absent) or isinstance(earlier.at, Absent):
                continue
            known = {(figure.what, figure.value) for figure in earlier.inputs}
            said = any(f.origin in SOFT for f in after.inputs if (f.what, f.value) not in known)
            assert height(after) <= height(earlier) or said, f"without {name}: {after.name}: {after.working}"


def test_a_recording_that_lacks_an_answer_is_judged_by_the_others():
    """A later kamtcp asks more than an older one recorded."""
    for keys in SOURCES.values():
        judged({key: answer for key, answer in ANSWERS.items() if key not in keys})


def test_nothing_but_the_reader_still_gives_an_answer():
    found = judged({key: answer for key, answer in ANSWERS.items() if key[1] == "reader"})
    assert found.situation.instance is None
    assert found.blind


class Vanishing(Recorded):
    """A host whose Kamailio ends after so many questions about it: /proc/PID is gone from then on."""

    def __init__(self, answers: dict[Key, Answer], view: str = "", left: list[int] | None = None) -> None:
        super().__init__(answers, view)
        self.left = left if left is not None else [0]

    def _answer(self, *key: str | int | bytes) -> object:
        about = key[0] in ("call", "within") or (
            str(key[1]).startswith("/proc/") and str(key[1])[6:7].isdigit()
        )
        if about:
            self.left[0] -= 1
            if self.left[0] < 0:
                raise (
                    ConnectionRefusedError(errno.ECONNREFUSED, "")
                    if key[0] == "call"
                    else ProcessLookupError(errno.ESRCH, "")
                )
        return super()._answer(*key)

    def within(self, pid: int) -> Vanishing:
        self._answer("within", pid)
        return Vanishing(self._answers, f"within:{pid}", self.left)


def test_a_process_may_vanish_at_any_moment_of_the_look():
    """Whenever it does, the rest is judged, and what was lost is named."""
    whole = take(Recorded(ANSWERS))
    moment = 0
    while (snapshot := take(Vanishing(ANSWERS, left=[moment]))) != whole:
        found = judge(snapshot, snapshot.instances[0] if snapshot.instances else None, TARGET)
        document(snapshot, ((found, "options"),), 0)
        assert snapshot.instances == () or found.unseen, moment
        moment += 3
        assert moment < 1000
    assert moment > 100


def test_an_rpc_that_fails_leaves_what_the_kernel_shows(whole):
    """Descriptors are still counted; shared memory can't be, and the check says it is blind."""
    calls = {key: RpcFailed("foreign") for key in ANSWERS if key[1] == "call"}
    found = judged({**ANSWERS, **calls})
    limits = {each.name: each.limit for each in found.ladder.all}
    assert isinstance(limits["shared-memory"], Absent)
    assert limits["tcp-main-descriptors"] == next(
        each.limit for each in whole.ladder.held if each.name == "tcp-main-descriptors"
    )
    assert "shared-memory" in {each.name for each in found.blind}
