"""Looks at the loaded host before, during and after a load, and has `diagnose` name what gave way.

The load itself classifies nothing: it counts what its clients saw, and the symptoms of `diagnose` are told from that
and from the host.

Cost    0.1 to 0.3 s of CPU a look: a whole check
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.change import Change
from kamtcp.diagnose import symptoms
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.rules import Judgement
from kamtcp.diagnose.verdict import Verdict, judge
from kamtcp.host.door import Host
from kamtcp.loadgen.target import Aim
from kamtcp.model.absent import Absent
from kamtcp.model.client import Client
from kamtcp.model.instance import Instance
from kamtcp.model.snapshot import Snapshot
from kamtcp.model.target import Target
from kamtcp.survey.take import take


class Look(Struct, frozen=True):
    """The host at one moment of the load; `client` is what its clients had seen by then, None before it began."""

    verdict: Verdict
    client: Client | None


class Witness:
    """The looks at one host; the first is made at once.

    Args:
        host: the machine that the load comes from.
        aim: the target; the Kamailio that listens there is watched, the machine alone where none does.
        netns: the network namespace of the target ("net:[…]").
        target: what the load brings, for the ladder.
    """

    def __init__(self, host: Host, aim: Aim, netns: str, target: Target) -> None:
        self.host, self.aim, self.netns, self.target = host, aim, netns, target
        self.looks = [Look(self._verdict(), None)]

    @property
    def instance(self) -> Instance | None:
        """The Kamailio that was found at the target."""
        return self.looks[0].verdict.situation.instance

    @property
    def predicted(self) -> Ceiling | None:
        """What the ladder said before the load would give first; None without a Kamailio at the target."""
        return None if self.instance is None else self.looks[0].verdict.binding

    def look(self, client: Client) -> None:
        """Look again."""
        self.looks.append(Look(self._verdict(), client))

    def judgement(self, client: Client) -> Judgement:
        """What gave way, over all looks, worst first; each symptom as it was last seen.

        Args:
            client: what the clients saw in the end.
        """
        before = self.looks[0].verdict
        found: dict[str, Finding] = {}
        unjudged: dict[Absent, None] = {}
        for place, later in enumerate(self.looks[1:], start=2):
            seen = client if place == len(self.looks) else later.client
            change = Change(before.situation, later.verdict.situation, seen)
            said = symptoms.judge(change, later.verdict.ladder)
            for each in said.findings:
                found[each.code] = each
            unjudged.update(dict.fromkeys(said.unjudged))
        return Judgement(symptoms.causes(found.values()), tuple(unjudged))

    def _verdict(self) -> Verdict:
        snapshot = take(self.host, netns=self.netns)
        return judge(snapshot, self._at_target(snapshot), self.target)

    def _at_target(self, snapshot: Snapshot) -> Instance | None:
        for each in snapshot.instances:
            ports = () if isinstance(each.listeners, Absent) else {one.port for one in each.listeners}
            if each.netns == self.netns and self.aim.port in ports:
                return each
        return None
