"""What happens in a load, one phase after the other."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from kamtcp.loadgen.population import Name, Positive, Question

Seconds = Annotated[float, Meta(ge=0, le=1_000_000)]
Share = Annotated[float, Meta(gt=0, le=1)]
Closing = Literal["fin", "rst"]


class Step(Struct, frozen=True, tag_field="kind", kw_only=True):
    """What all phases have.

    Args:
        populations: names of those that take part; empty: all.
    """

    populations: tuple[Name, ...] = ()


class Ramp(Step, frozen=True, tag="ramp", kw_only=True):
    """Open what isn't open yet, evenly.

    Args:
        rate: connections per second; or seconds: how long it takes. One of the two.
        share: of each population that is open at the end.
    """

    rate: Positive | None = None
    seconds: Positive | None = None
    share: Share = 1.0


class Hold(Step, frozen=True, tag="hold", kw_only=True):
    """Keep open what is open, with keepalives."""

    seconds: Positive


class Burst(Step, frozen=True, tag="burst", kw_only=True):
    """Every open connection asks at one instant.

    Args:
        question: None: the population's own.
        seconds: to wait for the answers.
    """

    question: Question | None = None
    seconds: Positive = 30.0


class Churn(Step, frozen=True, tag="churn", kw_only=True):
    """Open, ask, close, at `rate` per second for `seconds`; what is held stays held."""

    rate: Positive
    seconds: Positive


class Storm(Step, frozen=True, tag="storm", kw_only=True):
    """All lose their connection at once, and come back until each is served.

    Args:
        within: seconds over which the first tries are spread, evenly.
        closing: how connections are lost; "server": they aren't closed here, but awaited to be by the server, whose end
            or restart is somebody else's doing.
        backoff: what a client waits after a failed try: nothing, `first` seconds each time, or `first` doubled each
            time up to `highest`. jitter: share of that wait which is drawn by lot.
        seconds: after which those who still aren't served are given up.
    """

    within: Seconds
    closing: Literal["fin", "rst", "server"] = "rst"
    backoff: Literal["none", "fixed", "exponential"] = "exponential"
    first: Positive = 1.0
    highest: Positive = 60.0
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.5
    seconds: Positive = 300.0


class Close(Step, frozen=True, tag="close", kw_only=True):
    """Close `share` of what is open, at once or evenly over `seconds`."""

    closing: Closing = "fin"
    share: Share = 1.0
    seconds: Seconds = 0.0


class Reconnect(Step, frozen=True, tag="reconnect", kw_only=True):
    """Open again what was closed or lost. Args: as `Ramp` has them."""

    rate: Positive | None = None
    seconds: Positive | None = None


Phase = Ramp | Hold | Burst | Churn | Storm | Close | Reconnect
PHASES: dict[str, type[Phase]] = {
    "ramp": Ramp,
    "hold": Hold,
    "burst": Burst,
    "churn": Churn,
    "storm": Storm,
    "close": Close,
    "reconnect": Reconnect,
}
