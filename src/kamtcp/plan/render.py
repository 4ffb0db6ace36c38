"""Steps -> the text of files and lines to be read, reviewed and diffed. Nothing is written anywhere."""

from __future__ import annotations

from collections.abc import Callable

from kamtcp.diagnose.lines import quoted
from kamtcp.plan.steps import FRAGMENT, Layer, Step


def _one(text: str) -> str:
    """One line, whatever names of others it holds."""
    return " ".join(text.split())


def _of(steps: tuple[Step, ...], *layers: Layer) -> tuple[Step, ...]:
    return tuple(each for each in steps if each.layer in layers)


def _places(steps: tuple[Step, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.place for each in steps))


def _lines(step: Step, setting: str) -> list[str]:
    return [f"# {_one(step.why)}", setting]


def sysctl_d(steps: tuple[Step, ...]) -> str:
    """Files of /etc/sysctl.d, each under its name."""
    own = _of(steps, Layer.SYSCTL_FILE)
    lines = []
    for place in _places(own):
        lines.append(f"# {place}")
        for step in own:
            if step.place == place:
                lines += _lines(step, f"{step.name} = {_one(step.then)}")
    return _text(lines)


def systemd(steps: tuple[Step, ...]) -> str:
    """The unit's drop-in."""
    own = _of(steps, Layer.UNIT)
    lines = []
    for place in _places(own):
        lines += [f"# {place}", "[Service]"]
        for step in own:
            if step.place == place:
                lines += _lines(step, f"{step.name}={_one(step.then)}")
    return _text(lines)


def kamailio(steps: tuple[Step, ...]) -> str:
    """kamtcp.cfg, and as comments the options that no file of Kamailio's can say."""
    own = _of(steps, Layer.FRAGMENT)
    lines = [f"# {FRAGMENT}"] if own else []
    for step in own:
        lines += _lines(step, f"{step.name}={_one(step.then)}")
    for step in _of(steps, Layer.INCLUDE):
        lines.append(f"# in {_one(step.place)}: {step.name} {step.then}")
    for step in _of(steps, Layer.DEFAULTS, Layer.STARTER):
        lines.append(f"# not in a configuration: {_one(_elsewhere(step))}")
    return _text(lines)


def _elsewhere(step: Step) -> str:
    if step.layer is Layer.DEFAULTS:
        return f"{step.name}={step.then} in {step.place}"
    if step.layer is Layer.STARTER:
        return f"{step.name} {step.then}, from whatever starts it (now {step.now or 'not set'})"
    return f"{step.name} {step.then} in {step.place}"


def shell(steps: tuple[Step, ...]) -> str:
    """Lines to be read, and run one by one; a restart, and what other hands must do, are comments."""
    lines = ["# read first: each line changes this host"] if steps else []
    for number, step in enumerate(steps, 1):
        lines.append(f"# {number}. {_one(step.why)}")
        lines += _commands(step)
    return _text(lines)


def _commands(step: Step) -> list[str]:
    if step.line:
        return [_one(step.line)]
    if step.layer is Layer.SYSCTL_FILE:
        return [f"echo {quoted(f'{step.name} = {_one(step.then)}')} >>{quoted(step.place)}"]
    if step.layer is Layer.UNIT:
        folder = step.place.rpartition("/")[0]
        setting = quoted(f"{step.name}={_one(step.then)}")
        return [f"mkdir -p {quoted(folder)}",
                f"printf '[Service]\\n%s\\n' {setting} >>{quoted(step.place)}", "systemctl daemon-reload"]  # fmt: skip
    if step.layer is Layer.FRAGMENT:
        return [f"echo {quoted(f'{step.name}={_one(step.then)}')} >>{quoted(step.place)}"]
    if step.layer is Layer.DEFAULTS:
        return [f"echo {quoted(f'{step.name}={_one(step.then)}')} >>{quoted(step.place)}"]
    if step.layer is Layer.RESTART:
        return [f"# restart Kamailio when you choose: {_one(step.risk)}"]
    return [f"# yours to do: {_one(_elsewhere(step))}"]


def diff(steps: tuple[Step, ...]) -> str:
    """Each place with what goes and what comes, in the manner of diff."""
    lines, last = [], None
    for step in steps:
        place = step.place or step.layer.value
        if (step.layer, place) != last:
            lines += [f"--- {_one(place)}", f"+++ {_one(place)}"]
            last = (step.layer, place)
        if step.now:
            lines.append(f"-{step.name} = {_one(step.now)}")
        lines.append(f"+{step.name} = {_one(step.then)}")
    return _text(lines)


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


FORMATS: dict[str, Callable[[tuple[Step, ...]], str]] = {
    "diff": diff, "sysctl.d": sysctl_d, "systemd": systemd, "kamailio": kamailio, "shell": shell,
}  # fmt: skip
