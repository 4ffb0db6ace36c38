"""One load from beginning to end: may it, does it fit, how does it go, what gave way."""

from __future__ import annotations

import argparse
import os
import signal
import time
from types import FrameType

from msgspec import Struct
from msgspec.structs import replace

from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.reference import version_tuple
from kamtcp.cli import load_order, out
from kamtcp.cli.exits import Exit
from kamtcp.cli.load_live import Live as LiveLine
from kamtcp.cli.load_watch import Watch
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.rules import Judgement
from kamtcp.errors import UsageError
from kamtcp.host.door import Host
from kamtcp.host.live import Live
from kamtcp.loadgen import profile as profiles
from kamtcp.loadgen.budget import Line, lines
from kamtcp.loadgen.guard import Bounds, Guard
from kamtcp.loadgen.logs import log_files
from kamtcp.loadgen.means import means
from kamtcp.loadgen.order import Order
from kamtcp.loadgen.permission import PRODUCTION_RATE, Kind, Permission, permission
from kamtcp.loadgen.processes import INTERRUPTED, WORKER_ENDED, Load, workers_for
from kamtcp.loadgen.profile import Profile
from kamtcp.loadgen.result import Result
from kamtcp.loadgen.target import Aim, parse
from kamtcp.loadgen.witness import Witness
from kamtcp.model.absent import Absent
from kamtcp.model.target import Target

LATE = "GEN052"
#: failures that say nothing of the server: what became of these connections nobody saw
OWN = frozenset(("generator_slow", "abandoned", "worker_ended"))


class Outcome(Struct, frozen=True):
    """All there is to say of a load.

    Args:
        aim: the target. kind: of the load. permission: on whose account.
        plan: what it needed and had.
        result: what the clients saw.
        predicted: what the ladder said before would give first; None without a Kamailio there.
        judgement: what gave way.
        unwatched: what was not watched while it ran, and why.
        watched: whether there was a Kamailio at the target to look into.
        syn_linear: tcp_syn_linear_timeouts where the clients are.
    """

    aim: Aim
    kind: str
    permission: Permission
    plan: tuple[Line, ...]
    result: Result
    predicted: Ceiling | None
    judgement: Judgement
    unwatched: tuple[str, ...]
    watched: bool
    syn_linear: int | Absent

    @property
    def gave_way(self) -> tuple[Finding, ...]:
        """Symptoms of the server, of the machine, or of the load's own limits; that it was late is a doubt, no defect."""
        return tuple(each for each in self.judgement.findings if each.code != LATE)


def carry_out(options: argparse.Namespace) -> Exit:
    """Do it and report; what is reported is also what was done before an interruption."""
    if getattr(options, "profile", None):
        options.kind = "profile"
    if options.out is not None and os.path.lexists(options.out):
        raise UsageError(f"--out {options.out}: exists; name a directory that doesn't")
    outcome = _load(options)
    code = exit_code(outcome)
    if options.out is not None:
        from kamtcp.cli.load_files import keep

        keep(options.out, outcome, code)
    if options.json:
        from kamtcp.cli.load_document import document

        out.say(document(outcome, code).decode())
    else:
        from kamtcp.cli.load_text import text
        from kamtcp.cli.wrap import screen

        out.say(text(outcome, screen()))
    return code


def exit_code(outcome: Outcome) -> Exit:
    """1: something failed, was lost, or gave way; 3: nothing did, but nobody could vouch for that."""
    tally = outcome.result.load
    servers = sum(count for cause, count in tally.failures.causes().items() if cause not in OWN)
    if servers or tally.lost or outcome.result.gave or outcome.gave_way:
        return Exit.FINDINGS
    if outcome.result.stopped not in ("", INTERRUPTED, WORKER_ENDED):
        return Exit.FINDINGS  # the probe was lost, a disk fills: what ended it is a finding
    if outcome.result.doubts or outcome.result.stopped or tally.failures.total():
        return Exit.BLIND
    return Exit.OK


def _load(options: argparse.Namespace) -> Outcome:
    aim = load_order.aim_of(options, parse(options.target))
    host, netns = _place(options.netns)
    allowed = permission(
        aim, host, netns, i_own_this_host=options.i_own_this_host, production=options.production
    )
    _paced(options, allowed)
    order, profile = load_order.order_of(options, aim), _profile(options)
    most, total = most_at_once(options, order, profile), offered(order, profile)
    blocks = load_order.sources_of(options.sources, aim, most, aim.port)
    machine = Live()
    witness = Witness(machine, aim, netns, Target(connections=most, rate=getattr(options, "rate", None)))
    count = options.processes or workers_for(
        most, cores=len(os.sched_getaffinity(0)), nofile=_hard(), concurrency=order.concurrency
    )
    have = means(host, aim, blocks, witness.looks[0].verdict.situation.machine, here=options.netns is None)
    plan = lines(most, aim.carrier, count, have)
    if not all(each.fits for each in plan):
        raise UsageError("the load doesn't fit: " + "; ".join(str(each) for each in plan if not each.fits))
    instance = witness.instance
    files = () if instance is None else log_files(machine, instance)
    bounds = Bounds(drops=options.most_drops, log_bytes=options.most_log << 20)
    guard = Guard(host, options.netns, files, bounds, time.monotonic())
    probed = options.probe if options.probe is not None else allowed.kind is not Kind.FREE
    _warn_of_pings(order, witness)
    began = time.monotonic()
    _end_as_interrupted()
    order = replace(order, sources=blocks)
    with Watch(
        order if probed else None, guard, witness, LiveLine(total, quiet=options.quiet, now=began)
    ) as watch:
        with Load(order, profile=profile, processes=count, i_own_this_host=True) as load:
            result = watch.over(load)
        judgement = witness.judgement(watch.client(result))
    unwatched = guard.unseen() + (() if probed else ("no SIP probe ran beside it (--probe)",))
    linear = witness.looks[0].verdict.situation.sysctl("net.ipv4.tcp_syn_linear_timeouts")
    return Outcome(
        aim, options.kind, allowed, plan, result, witness.predicted, judgement, unwatched, instance is not None, linear
    )  # fmt: skip


def _warn_of_pings(order: Order, witness: Witness) -> None:
    """From 5.7.3 on a connection without one complete SIP message is closed, and pings are none."""
    instance = witness.instance
    if order.question not in ("crlf", "ping") or instance is None or isinstance(instance.version, Absent):
        return
    if version_tuple(instance.version) >= (5, 7, 3):
        out.complain(f"kamtcp load: Kamailio {instance.version} closes connections that bring no SIP message within"
                     " tcp_msg_data_timeout (20 s): pings are none, --options is one")  # fmt: skip


def most_at_once(options: argparse.Namespace, order: Order, profile: Profile | None) -> int:
    """Connections that may be open at one time."""
    if profile is not None:
        return sum(each.connections for each in profile.populations)
    if options.kind == "ramp":
        height = options.highest
        return int(height if options.of == "connections" else min(height * options.answer_timeout, 100_000))
    if options.kind == "churn":
        return max(1, int(min(order.schedule.count, options.rate * options.answer_timeout)))
    return order.schedule.count


def offered(order: Order, profile: Profile | None) -> int | None:
    """Connections that will be offered, where that is known before."""
    return (
        None
        if profile is not None or order.climb is not None or order.storm is not None
        else order.schedule.count
    )


def _place(pid: int | None) -> tuple[Host, str]:
    """The namespace that the load runs in."""
    host = Live()
    try:
        netns = os.readlink(f"/proc/{pid or 'self'}/ns/net")
        return (host if pid is None else host.within(pid)), netns
    except OSError as error:
        raise UsageError(
            f"--netns {pid}: {error.strerror}; expected a process whose namespace may be entered"
        ) from error


def _paced(options: argparse.Namespace, allowed: Permission) -> None:
    """A load on a server with connections of others comes slowly, or not at all."""
    if allowed.kind is not Kind.PRODUCTION:
        return
    if options.kind not in ("hold", "churn"):
        raise UsageError(f"{options.kind} can't be paced: on a server that others use, hold and churn can")
    if options.rate > PRODUCTION_RATE:
        out.complain(f"kamtcp load: paced: {PRODUCTION_RATE:g} new connections a second instead of {options.rate:g},"
                     f" since {allowed.reason}")  # fmt: skip
        options.rate = PRODUCTION_RATE


def _profile(options: argparse.Namespace) -> Profile | None:
    if options.kind != "profile":
        return None
    try:
        with open(options.profile, "rb") as file:
            data = file.read(profiles.LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{options.profile}: {error.strerror}") from error
    try:
        return profiles.read(data.decode("utf-8"), options.profile)
    except UnicodeDecodeError as error:
        raise UsageError(f"{options.profile}: expected TOML in UTF-8, byte {error.start} is none") from error


def _hard() -> int:
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _end_as_interrupted() -> None:
    """SIGTERM and SIGHUP end a load as Ctrl-C does: with a report of what was done so far."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
