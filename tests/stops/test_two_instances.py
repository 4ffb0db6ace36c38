"""Two instances on one machine, each judged by what is in force for it, live and from a recording."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from kamtcp.capacity.ceiling import Ceiling, Effect
from kamtcp.cli.record import scrubbed
from kamtcp.diagnose.verdict import Verdict, judge
from kamtcp.host.live import Live
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.model.snapshot import Snapshot
from kamtcp.model.target import Target
from kamtcp.record.archive import Header, Recording, load, write
from kamtcp.record.recorded import samples
from kamtcp.record.recorder import Recorder
from kamtcp.record.scrub import Scrubber
from kamtcp.rehearse.kamailio import Running, packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take
from stop_rig import HARD, SOURCE, Prediction, command_line, judged, order, predict, settle

OWN = {
    "net.core.somaxconn": 256,
    "net.ipv4.ip_local_port_range": "20000 29999",
    "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.tcp_keepalive_time": 600,
}
ADDRESS = "10.77.0.1"
TARGET = Target(connections=3000, rate=500, outbound={"192.0.2.9:5060": 12000})
NOBODY = 65534


class Pair(Struct, frozen=True):
    """One with the sysctls of a new namespace, one with its own."""

    usual: Running
    own: Running

    @property
    def pids(self) -> tuple[int, int]:
        return self.usual.pid, self.own.pid


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both running, with 40 and 25 connections held."""
    with ExitStack() as stack:
        one = stack.enter_context(StandIn(packages_root(), name="sip1"))
        other = stack.enter_context(StandIn(packages_root(), name="sip2"))
        other.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "lo"])
        for name, value in OWN.items():
            other.sysctl(name, value)
        usual = stack.enter_context(start_kamailio(one, config=Scenario(), nofile=(1024, HARD)))
        own = stack.enter_context(
            start_kamailio(other, config=Scenario(address=ADDRESS, tcp_children=2), nofile=(2000, HARD))
        )
        for running, count in ((usual, 40), (own, 25)):
            what = order(running.standin, Steady(count, 500))
            if running is own:
                what = msgspec.structs.replace(what, address=ADDRESS)
            held = stack.enter_context(Load(what))
            settle(held, running)
            assert held.progress().held == count
        yield Pair(usual, own)


def test_each_is_judged_by_the_sysctls_and_limits_in_force_for_it(pair: Pair) -> None:
    usual, own = (predict(pid, TARGET) for pid in pair.pids)
    assert (usual.instance.opened, own.instance.opened) == (40, 25)
    assert usual.instance.netns != own.instance.netns
    assert usual.at - own.at == 1024 - 2000 + (other_descriptors(own) - other_descriptors(usual))
    assert (limit(usual, "accept-queue"), limit(own, "accept-queue")) == (1025, 257)
    low, high = map(int, pair.usual.standin.sysctl("net.ipv4.ip_local_port_range").split())
    assert (limit(usual, "ephemeral-ports"), limit(own, "ephemeral-ports")) == (high - low + 1, 10_000)
    effects = usual.ceiling("syn-queue").effect, own.ceiling("syn-queue").effect
    assert effects == (Effect.LOSES_PROTECTION, Effect.SLOWS)
    probed = usual.verdict.situation.machine.handoff_messages
    assert isinstance(probed, int)
    assert (limit(usual, "hand-off"), limit(own, "hand-off")) == (4 * probed, 2 * probed)
    assert keepalive(own) - keepalive(usual) == 600 - int(
        pair.usual.standin.sysctl("net.ipv4.tcp_keepalive_time")
    )
    codes = [{finding.code for finding in each.verdict.findings} for each in (usual, own)]
    assert "SYS012" not in codes[0] and "SYS012" in codes[1], (
        "10,000 ports, 12,000 outbound connections wanted"
    )


def test_the_command_line_in_one_ones_namespace_judges_the_other_by_its_own(pair: Pair) -> None:
    """As an operator logged in where the first one runs: only lines that show the second one enter a network namespace."""
    done = command_line("check", "--json", *OPTIONS, enter=inside(pair))
    assert done.returncode == 1, done.stderr
    found = {each["attendant"]: each for each in judged(done.stdout)}
    for pid in pair.pids:
        live = predict(pid, TARGET)
        assert found[pid]["binding"] == live.name == "tcp-main-descriptors"
        assert found[pid]["stops_at"] == live.at
    accept = [ceiling_of(found[pid], "accept-queue")["limit"] for pid in pair.pids]
    assert accept == [1025, 257]
    away = [[line for line in lines_of(found[pid]) if "nsenter" in line] for pid in pair.pids]
    entered = [part for line in away[0] for part in line.split("; ") if "nsenter" in part]
    assert all(part.startswith(f"nsenter -t {pair.usual.pid} -m kamcmd ") for part in entered), (
        "its socket's root"
    )
    assert away[1] and all(f"nsenter -t {pair.own.pid} -" in line for line in away[1])


@pytest.mark.parametrize("keep_addresses", [True, False], ids=["addresses kept", "addresses mapped"])
def test_a_recording_gives_the_same_ladder_and_findings(
    pair: Pair, tmp_path: Path, keep_addresses: bool
) -> None:
    """The very answers that a live look got, stored and read again: not one number or word differs."""
    recorder = Recorder(Live())
    live = take(recorder)
    scrubber = Scrubber(os.urandom(32), keep_addresses=keep_addresses)
    notes = scrubbed(recorder.notes, scrubber)
    sample = {key: scrubber.again(value) for key, value in notes.items()}
    write(str(tmp_path / "two.kam"), Recording(Header("test", 0.0, scrubbed=True), [sample]))
    (host,) = samples(load(str(tmp_path / "two.kam")))
    again = take(host)
    for pid in pair.pids:
        before, after = verdict(live, pid), verdict(again, pid)
        assert before.binding is not None and after.binding is not None
        assert after.binding.at == before.binding.at
        assert [each.name for each in after.blind] == [each.name for each in before.blind]
        old, new = address(live, pid), address(again, pid)
        assert (old == new) == (keep_addresses or old.startswith("127."))
        for part in ("ladder", "findings"):
            told = msgspec.json.encode(getattr(before, part)), msgspec.json.encode(getattr(after, part))
            assert told[0] == told[1].replace(new.encode(), old.encode())


def test_another_user_on_another_machine_reads_the_same_from_a_recording(pair: Pair) -> None:
    """`kamtcp record` here; `check --from` here as root, and as nobody in a stand-in with other sysctls."""
    with tempfile.TemporaryDirectory(prefix="kamtcp-stops-") as place, StandIn(name="elsewhere") as elsewhere:
        os.chmod(place, 0o755)
        file = f"{place}/host.kam"
        done = command_line("record", "-o", file, enter=inside(pair))
        assert done.returncode == 0, done.stderr
        os.chmod(file, 0o644)
        elsewhere.sysctl("net.core.somaxconn", 77)
        here = command_line("check", "--from", file, "--json", *OPTIONS)
        there = as_nobody(elsewhere, "check", "--from", file, "--json", *OPTIONS)
    assert here.returncode == there.returncode == 1, (here.stderr, there.stderr)
    assert here.stdout == there.stdout
    found = {each["attendant"]: each for each in judged(here.stdout)}
    for pid, accept in zip(pair.pids, (1025, 257), strict=True):
        live = predict(pid, TARGET)
        assert (found[pid]["binding"], found[pid]["stops_at"]) == (live.name, live.at)
        assert ceiling_of(found[pid], "accept-queue")["limit"] == accept
        told = [each["code"] for each in found[pid]["findings"]]
        # FDS024 counts all Kamailios of a user on the machine, and others may come and go between the two looks
        assert [code for code in told if code != "FDS024"] == [
            each.code for each in live.verdict.findings if each.code != "FDS024"
        ]
        assert not found[pid]["could_lie_below"]
        assert "not recorded" not in msgspec.json.encode(found[pid]).decode()


OPTIONS = ("--connections", "3000", "--rate", "500", "--outbound", "192.0.2.9:5060=12000")


def inside(pair: Pair) -> tuple[str, ...]:
    """In the network namespace of the first one, everything else as it is here."""
    return ("nsenter", f"--net=/proc/{pair.usual.pid}/ns/net")


def as_nobody(host: StandIn, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """`python -m kamtcp ...` in a stand-in host as a user without privilege; skips where it can't read the program."""
    env = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    tried = host.run([sys.executable, "-c", "import kamtcp, msgspec"], uid=NOBODY, env=env, check=False)
    if tried.returncode:
        pytest.skip("another user may not read this interpreter or this checkout")
    return host.run([sys.executable, "-m", "kamtcp", *arguments], uid=NOBODY, env=env, check=False)


def limit(found: Prediction, name: str) -> object:
    return found.ceiling(name).limit


def other_descriptors(found: Prediction) -> int:
    known = found.instance.other_descriptors
    assert isinstance(known, int)
    return known


def keepalive(found: Prediction) -> float:
    (timer,) = (each for each in found.verdict.ladder.timers if each.name == "tcp-keepalive")
    assert isinstance(timer.seconds, float | int)
    return timer.seconds


def verdict(snapshot: Snapshot, pid: int) -> Verdict:
    instance = next(each for each in snapshot.instances if each.attendant == pid)
    return judge(snapshot, instance, TARGET)


def address(snapshot: Snapshot, pid: int) -> str:
    """Where the instance listens."""
    instance = next(each for each in snapshot.instances if each.attendant == pid)
    assert not isinstance(instance.listeners, Ceiling) and isinstance(instance.listeners, tuple)
    return instance.listeners[0].address


def ceiling_of(one: dict[str, object], name: str) -> dict[str, object]:
    rows = [each for part in ("held", "rates", "unseen_ceilings") for each in one[part]]  # type: ignore[attr-defined]
    return next(each for each in rows if each["name"] == name)


def lines_of(one: dict[str, object]) -> list[str]:
    return [each["see"] for each in one["findings"]]  # type: ignore[attr-defined]
