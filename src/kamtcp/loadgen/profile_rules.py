"""What can't be meant in a profile although each key is right for itself."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from msgspec import Struct

from kamtcp.loadgen.phases import Churn, Close, Phase, Ramp, Reconnect, Storm
from kamtcp.loadgen.population import Population, Tls

_MUTE = {"silent": "sends nothing", "half-message": "sends nothing else"}


def within(made: Struct, given: frozenset[str]) -> Iterator[tuple[str, str]]:
    """What is wrong between the keys of one table.

    Args:
        made: a population, a phase, or a table inside of one.
        given: keys that stand in the file; the others have their defaults.

    Returns:
        (key, mistake) of each.
    """
    if isinstance(made, (Ramp, Reconnect)) and (made.rate is None) is (made.seconds is None):
        yield "rate", "expected either rate or seconds"
    if isinstance(made, Storm) and made.first > made.highest:
        yield "first", f"first: expected at most highest ({made.highest:g}), got {made.first:g}"
    if isinstance(made, Tls) and made.lowest and made.highest and made.lowest > made.highest:
        yield "lowest", f"lowest: expected at most highest ({made.highest}), got {made.lowest!r}"
    if not isinstance(made, Population):
        return
    carrier = made.carrier
    if carrier in ("tcp", "ws") and "tls" in given:
        yield "tls", f"tls: expected carrier tls or wss beside it, got {carrier!r}"
    if carrier in ("tcp", "tls"):
        for key in ("path", "origin"):
            if key in given:
                yield key, f"{key}: expected carrier ws or wss beside it, got {carrier!r}"
    if made.behaviour in _MUTE:
        for key in ("question", "keepalive", "credentials", "expires"):
            if key in given:
                yield key, f"{key}: a {made.behaviour} population {_MUTE[made.behaviour]}"
    if (made.behaviour == "slow-reader") is (made.read_rate is None):
        yield "read_rate", "read_rate: expected beside behaviour slow-reader, and there alone"
    if made.credentials is not None and not _asks_sip(made):
        yield "credentials", "credentials: expected question or keepalive options or register"
    if "expires" in given and "register" not in _asked(made):
        yield "expires", "expires: expected question or keepalive register"
    if made.sources is not None:
        try:
            ip_network(made.sources)
        except ValueError as error:
            yield "sources", f"sources: expected ADDRESS/PREFIX, got {made.sources!r} ({error})"


def _asked(population: Population) -> tuple[str, ...]:
    held = population.keepalive
    return (population.question, held.what) if held is not None else (population.question,)


def _asks_sip(population: Population) -> bool:
    return not {"options", "register"}.isdisjoint(_asked(population))


def between(
    populations: tuple[Population, ...], phases: tuple[Phase, ...]
) -> Iterator[tuple[str, int, str, str]]:
    """What is wrong between tables: ("population" or "phase", its number from 1 on, key, mistake)."""
    opened: set[str] = set()
    names: list[str] = []
    for number, population in enumerate(populations, start=1):
        if population.name in names:
            yield "population", number, "name", f"another one is named {population.name!r} too"
        names.append(population.name)
    held: set[str] = set()
    for number, phase in enumerate(phases, start=1):
        for name in phase.populations:
            if name not in names:
                known = ", ".join(names)
                yield "phase", number, "populations", f"no population is named {name!r} (there are {known})"
        mine = set(phase.populations or names)
        match phase:
            case Ramp():
                opened |= mine
                held |= mine
            case Churn():
                pass
            case Reconnect():
                if not opened & mine:
                    yield "phase", number, "kind", "nothing was open before; expected a ramp earlier"
                held |= opened & mine
            case _:
                if not held & mine:
                    yield "phase", number, "kind", "nothing is open; expected a ramp or reconnect before it"
                if isinstance(phase, Close) and phase.share == 1:
                    held -= mine
