"""One instance on its machine, with a target: what every ceiling and finding looks at.

Only look-ups and unit conversions live here, so that a ceiling reads as its arithmetic.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.model.absent import UNLIMITED, Absent, Limit, Unlimited, Why
from kamtcp.model.instance import Instance, Parameter, Process, Role
from kamtcp.model.machine import Machine, Namespace
from kamtcp.model.origin import Figure, Origin
from kamtcp.model.target import Mix, Target


class Situation(Struct, frozen=True):
    """What is judged: `instance` is None on a machine without Kamailio."""

    machine: Machine
    namespace: Namespace
    instance: Instance | None
    target: Target
    mix: Mix
    #: bytes of shared memory per connection seen in a recording, by transport; empty without a pair
    measured_prices: dict[str, float] = {}
    #: False where the target is only the highest use seen
    target_stated: bool = True

    def require(self) -> Instance:
        """The instance; ceilings that need one are only asked where there is one."""
        assert self.instance is not None
        return self.instance

    @property
    def tcp_main(self) -> Process | Absent:
        return self.require().tcp_main

    @property
    def workers(self) -> tuple[Process, ...]:
        return self.require().of_role(Role.TCP_WORKER)

    def sysctl(self, name: str) -> int | Absent:
        """A sysctl of one number: from the namespace where it has it, else the machine's."""
        return self.sysctl_at(name, 0)

    def sysctl_at(self, name: str, index: int) -> int | Absent:
        """One of several numbers of a sysctl (tcp_mem, ip_local_port_range)."""
        text = self.sysctl_text(name)
        if isinstance(text, Absent):
            return text
        parts = text.split()
        try:
            value = int(parts[index])
        except (ValueError, IndexError):
            value = 1 << 64
        # the kernel keeps no number of more than 64 bits
        if not -(1 << 63) <= value < 1 << 64:
            return Absent(name, Why.MALFORMED, f"expected {index + 1} or more numbers, got {text[:40]!r}")
        return value

    def sysctl_text(self, name: str) -> str | Absent:
        """The value as the kernel prints it."""
        here = self.namespace.sysctls.get(name)
        if here is not None and not isinstance(here, Absent):
            return here
        wide = self.machine.sysctls.get(name)
        if wide is not None and not isinstance(wide, Absent):
            return wide
        return here or wide or Absent(name, Why.NOT_ASKED)

    def parameter(self, name: str) -> Parameter | Absent:
        """A Kamailio parameter in force."""
        instance = self.require()
        found = instance.parameters.get(name)
        if found is not None:
            return found
        if isinstance(instance.config_read, Absent):
            return Absent(
                name, instance.config_read.why, "RPC doesn't tell, and the configuration could not be read"
            )
        return Absent(name, Why.MISSING, "neither RPC nor a file names it")

    def number(self, name: str) -> int | Absent:
        """A Kamailio parameter that is a number."""
        found = self.parameter(name)
        if isinstance(found, Absent):
            return found
        if isinstance(found.value, int):
            return found.value
        if found.origin is Origin.DEFAULT:  # "none": this version has no such parameter
            return Absent(name, Why.MISSING, found.where)
        return Absent(name, Why.MALFORMED, f"{found.where}: expected a number, got {found.value!r}")

    def figure(self, name: str, what: str = "") -> Figure:
        """A Kamailio parameter as an input of an arithmetic; ask `number` first."""
        found = self.parameter(name)
        assert not isinstance(found, Absent) and isinstance(found.value, int)
        return Figure(found.value, what or f"{name} ({found.where})", found.origin)

    @property
    def opened(self) -> int | Absent:
        """Open connections of the instance now."""
        return self.require().opened

    def opened_figure(self) -> Figure:
        """Open connections as an input; 0 where they can't be seen."""
        instance = self.require()
        if isinstance(instance.opened, Absent):
            return Figure(0, "open connections (not seen, taken as 0)", Origin.ASSUMED)
        return Figure(instance.opened, "open connections", instance.opened_origin)

    @property
    def worst_second(self) -> float | None:
        """Arrivals in the worst second of the target: its rate, or its storm spread over the storm's time."""
        storm = None
        if self.target.storm is not None:
            storm = self.target.storm / max(1.0, self.target.storm_seconds)
        rates = [value for value in (self.target.rate, storm) if value is not None]
        return max(rates) if rates else None

    @property
    def goal_held(self) -> int | None:
        return self.target.connections

    @property
    def goal_rate(self) -> int | None:
        worst = self.worst_second
        return None if worst is None else round(worst)


def first_absent(*values: object) -> Absent | None:
    """The first value that can't be used, or None when all are there."""
    for value in values:
        if isinstance(value, Absent):
            return value
    return None


def unseen(*values: object) -> Absent:
    """The first value that can't be used; there is one."""
    found = first_absent(*values)
    assert found is not None
    return found


def share_of(limit: Limit, share: float) -> Limit:
    """Connections of the whole mix at which a limit on a share of them is met; Unlimited where the share is 0."""
    if isinstance(limit, Absent | Unlimited):
        return limit
    return int(limit / share) if share > 1e-12 else UNLIMITED
