"""A profile's populations and phases as a program."""

from __future__ import annotations

from typing import cast

from kamtcp.errors import UsageError
from kamtcp.loadgen import phases
from kamtcp.loadgen.board import PHASES
from kamtcp.loadgen.order import Carrier, Order
from kamtcp.loadgen.ordered import around, check_question
from kamtcp.loadgen.population import Population
from kamtcp.loadgen.profile import Profile
from kamtcp.loadgen.program import (
    Arrivals,
    Arrive,
    Asked,
    Burst,
    Clients,
    Close,
    Hold,
    Open,
    Phase,
    Program,
    Storm,
)
from kamtcp.loadgen.schedule import Steady
from kamtcp.loadgen.sources import PER_ADDRESS, Block, plan_sources

_MUTE: dict[str, Asked] = {"silent": "nothing", "half-message": "half"}


def of_profile(profile: Profile, order: Order) -> Program:
    """What a profile asks for.

    Args:
        profile: as read.
        order: what it leaves open, and what holds for all populations: address, timeouts, closing, namespace.

    Raises:
        UsageError: a population asks what its transport can't carry, or there are too many phases.
    """
    if len(profile.phases) > PHASES:
        raise UsageError(f"a profile may have {PHASES} phases, not {len(profile.phases)}")
    clients = tuple(_clients(each, order) for each in profile.populations)
    steps = tuple(_phase(profile, each) for each in profile.phases)
    return around(order, clients, steps)


def _clients(population: Population, order: Order) -> Clients:
    carrier = order.carrier if population.carrier is None else Carrier(population.carrier)
    question = _MUTE.get(population.behaviour, population.question)
    check_question(question, carrier, f"population {population.name}")
    blocks: tuple[Block, ...] = ()
    if population.sources is not None:
        first = population.sources.partition("/")[0]
        per_address = population.per_source or PER_ADDRESS
        blocks = plan_sources(population.connections, base=first, per_address=per_address)
    return Clients(
        name=population.name,
        count=population.connections,
        address=order.address,
        port=population.port or order.port,
        carrier=carrier,
        question=question,
        expires=population.expires,
        credentials=population.credentials or order.credentials,
        keepalive=population.keepalive,
        tls=population.tls,
        path=population.path or order.path,
        origin=population.origin or order.origin,
        read_rate=population.read_rate if population.behaviour == "slow-reader" else None,
        blocks=blocks,
    )


def _phase(profile: Profile, phase: phases.Phase) -> Phase:
    names = [each.name for each in profile.populations]
    taking = profile.of(phase)
    places = tuple(names.index(each.name) for each in taking)
    match phase:
        case phases.Ramp():
            return Open("ramp", places, phase.rate, phase.seconds, phase.share)
        case phases.Reconnect():
            return Open("reconnect", places, phase.rate, phase.seconds)
        case phases.Hold():
            return Hold("hold", phase.seconds)
        case phases.Burst():
            return Burst("burst", places, cast("Asked | None", phase.question), phase.seconds)
        case phases.Storm():
            return Storm("storm", places, phase)
        case phases.Close():
            return Close("close", places, phase)
        case phases.Churn():
            total = sum(each.connections for each in taking)
            arrivals = []
            for place, each in zip(places, taking, strict=True):
                rate = phase.rate * each.connections / total
                arrivals.append(Arrivals(place, Steady(max(1, round(rate * phase.seconds)), rate)))
            return Arrive("churn", tuple(arrivals), close=True, cut=True)
