"""All rounds of a calibration. One in which the server ends is done again, up to three times, and never counted."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from kamtcp.cli.calibrate_plan import Plan
from kamtcp.cli.calibrate_round import Round, RoundFailed, measure
from kamtcp.cli.calibrated import Calibration
from kamtcp.errors import StandInError

#: Debian 12's 5.6.3 with OpenSSL 3 may end by itself under TLS (kamailio issue 3635)
AGAIN = 3


class Lost(Struct, frozen=True):
    """A round that was not counted, or (in `Outcome.failures`) a transport that could not be measured."""

    transport: str
    why: str


class Outcome(Struct, frozen=True):
    """What came of it: prices, rounds that were done again, transports without a price."""

    prices: tuple[Calibration, ...]
    repeated: tuple[Lost, ...]
    failures: tuple[Lost, ...]


def rounds(
    plan: Plan, count: int, say: Callable[[str], None], one: Callable[[Plan, str], Round] = measure
) -> Outcome:
    """`count` rounds of each transport of the plan.

    Args:
        plan: what is started.
        count: of each transport.
        say: takes a line of progress.
        one: does one round.
    """
    prices: list[Calibration] = []
    repeated: list[Lost] = []
    failures: list[Lost] = []
    for transport in plan.transports:
        made: list[Round] = []
        tries = 0
        while len(made) < count:
            say(f"{transport}: round {len(made) + 1} of {count}" + (f", again ({tries})" if tries else ""))
            try:
                made.append(one(plan, transport))
                tries = 0
            except (RoundFailed, StandInError) as error:
                tries += 1
                if tries > AGAIN:
                    failures.append(
                        Lost(transport, f"{AGAIN + 1} tries of a round failed, the last: {error}")
                    )
                    break
                repeated.append(Lost(transport, str(error)))
        else:
            prices.append(_calibration(transport, made))
    say("")
    return Outcome(tuple(prices), tuple(repeated), tuple(failures))


def _calibration(transport: str, made: list[Round]) -> Calibration:
    spent = [each.main_microseconds for each in made if each.main_microseconds is not None]
    return Calibration(
        transport=transport,
        conditions=made[-1].conditions,
        at=time.time(),
        values=tuple(each.bytes for each in made),
        main_microseconds=sorted(spent)[len(spent) // 2] if spent else None,
    )
