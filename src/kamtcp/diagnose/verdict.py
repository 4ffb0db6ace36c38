"""One instance, judged: its ladder, its findings, what could not be seen, and what that makes of it."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.catalogue import ALL
from kamtcp.capacity.ceiling import Ceiling, Effect
from kamtcp.capacity.ladder import Ladder, blind_spots, build, stops
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose import accepting, rules, starting
from kamtcp.diagnose.codes import RANK, Severity
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.starting import Starting
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Instance
from kamtcp.model.snapshot import Snapshot
from kamtcp.model.target import Mix, Target

#: findings that no connection of some transport of the target can be made here, whatever the ceilings say
IMPOSSIBLE = frozenset({"TLS003", "CFG030"})


class Verdict(Struct, frozen=True):
    """What check says of one instance (or, without any, of the machine).

    Args:
        situation: what was judged.
        ladder, findings: the judgement.
        blind: ceilings that can't be told and could lie below the target or the binding ceiling.
        unseen: everything else that could not be seen, with its reason.
        start: of an instance that is not started, whether it would start.
    """

    situation: Situation
    ladder: Ladder
    findings: tuple[Finding, ...]
    blind: tuple[Ceiling, ...]
    unseen: tuple[Absent, ...]
    start: Starting | None = None

    @property
    def binding(self) -> Ceiling | None:
        """The ceiling that stops new connections first."""
        found = stops(self.ladder)
        return found[0] if found else None

    @property
    def target_met(self) -> bool | None:
        """Whether nothing stops or slows what is wanted; None where something unseen could."""
        effects = (Effect.STOPS, Effect.SLOWS)
        if any(each.code in IMPOSSIBLE for each in self.findings):
            return False
        if any(each.met is False and each.effect in effects for each in self.ladder.all):
            return False
        return None if self.blind else True

    def at_or_above(self, severity: Severity) -> tuple[Finding, ...]:
        """Findings that are at least so bad, without those that are accepted."""
        return tuple(
            each for each in self.findings if RANK[each.severity] <= RANK[severity] and not each.accepted
        )


def judge(
    snapshot: Snapshot,
    instance: Instance | None,
    target: Target,
    prices: dict[str, float] | None = None,
    *,
    mix: Mix | None = None,
    stated: bool = True,
) -> Verdict:
    """Judge one instance against a target; None judges the machine alone.

    Args:
        snapshot: the facts.
        instance: one of its instances.
        target: what is wanted; an empty one judges present use.
        prices: bytes per connection by transport, measured from an earlier snapshot.
        mix: shares of the transports, where the target doesn't say them.
        stated: whether somebody stated the target; else it is the highest use seen.
    """
    netns = snapshot.machine.netns if instance is None else instance.netns
    situation = Situation(
        snapshot.machine,
        snapshot.namespaces[netns],
        instance,
        target,
        mix or mix_of(target, instance),
        prices or {},
        stated,
    )
    ladder = build(situation)
    judgement = rules.judge(situation, ladder)
    said = starting.as_before_start(judgement.findings, situation)
    found = accepting.apply(said, snapshot.accepted, instance, snapshot.machine.realtime)
    return Verdict(
        situation, ladder, found,
        (*blind_spots(ladder, target.connections), *_of_a_hidden_kamailio(snapshot)),
        (*_unseen(snapshot, instance, ladder), *judgement.unjudged),
        starting.judge(situation, said),
    )  # fmt: skip


def _of_a_hidden_kamailio(snapshot: Snapshot) -> tuple[Ceiling, ...]:
    """All ceilings of a Kamailio that may be running where nobody may look."""
    obstacle = next((each for each in snapshot.unseen if each.source == "/proc"), None)
    if obstacle is None or snapshot.instances:
        return ()
    stopping = (entry.spec for entry in ALL if entry.needs_instance and entry.spec.effect is Effect.STOPS)
    return tuple(spec.unseen(obstacle) for spec in stopping)


def mix_of(target: Target, instance: Instance | None) -> Mix:
    """Shares of the transports: the target's, else today's, else those of the listeners, else plain TCP.

    A target that states a number alone says nothing of transports: it stands for more of what is open now.
    """
    if target.connections and (target.tls or target.ws or target.wss):
        return _mix((target.tls, target.ws, target.wss), target.connections, "target")
    if instance is not None and isinstance(instance.opened, int) and instance.opened > 0:
        encrypted = 0 if isinstance(instance.opened_tls, Absent) else instance.opened_tls
        websocket = 0 if isinstance(instance.websocket, Absent) else instance.websocket
        # of the WebSockets nobody says how many are secure: as many as there are TLS connections, at most
        secure = min(websocket, encrypted)
        counts = (encrypted - secure, websocket - secure, secure)
        return _mix(counts, instance.opened, "connections open now")
    if instance is not None and _only_tls(instance):
        return Mix(0.0, 1.0, 0.0, 0.0, "TLS, since all its listeners speak it")
    if target.connections:
        return Mix(1.0, 0.0, 0.0, 0.0, "target, no other transport stated")
    return Mix(1.0, 0.0, 0.0, 0.0, "plain TCP, for want of a target or of open connections")


def _only_tls(instance: Instance) -> bool:
    """Whether every listening socket of it is known to speak TLS."""
    if (
        isinstance(instance.listeners, Absent)
        or isinstance(instance.tls_ports, Absent)
        or not instance.listeners
    ):
        return False
    return {each.port for each in instance.listeners} <= set(instance.tls_ports)


def _mix(counts: tuple[int, int, int], total: int, why: str) -> Mix:
    tls, ws, wss = (min(1.0, count / total) for count in counts)
    return Mix(max(0.0, 1 - tls - ws - wss), tls, ws, wss, why)


def _unseen(snapshot: Snapshot, instance: Instance | None, ladder: Ladder) -> tuple[Absent, ...]:
    """What could not be seen, each reason once."""
    others = {f"namespaces of pid {each.attendant}" for each in snapshot.instances if each is not instance}
    found = [each for each in snapshot.unseen if each.source not in others]
    if instance is not None:
        facts = (
            instance.rpc,
            instance.config_read,
            instance.version,
            instance.log,
            instance.handoff_sndbufs,
            instance.cgroup,
            instance.modules,
            instance.tls_ports,
            instance.openssl,
        )
        found.extend(fact for fact in facts if isinstance(fact, Absent))
    found.extend(each.limit for each in ladder.unseen if isinstance(each.limit, Absent))
    found.extend(timer.seconds for timer in ladder.timers if isinstance(timer.seconds, Absent))
    return tuple(dict.fromkeys(found))
