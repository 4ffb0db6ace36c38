"""The line that shows how a load goes, while it goes: on stderr, redrawn on a terminal, a line each 10 s elsewhere."""

from __future__ import annotations

import os
import sys

from kamtcp.loadgen.board import Progress

_EACH_TTY, _EACH_PIPE = 0.25, 10.0
_BAR = 12


class Live:
    """Draws the line.

    Args:
        total: connections that will be offered; None where the end isn't known.
        quiet: never.
        now: CLOCK_MONOTONIC at the start of the load.
    """

    def __init__(self, total: int | None, *, quiet: bool, now: float) -> None:
        self.total, self.began = total, now
        self.tty = sys.stderr is not None and sys.stderr.isatty()
        self.quiet = quiet or sys.stderr is None
        self.following = now if self.tty else now + _EACH_PIPE
        self.before = (now, 0)
        self.width = 0

    def show(self, progress: Progress, now: float) -> None:
        """Draw it again, if it is time."""
        if self.quiet or now < self.following:
            return
        self.following = now + (_EACH_TTY if self.tty else _EACH_PIPE)
        then, offered = self.before
        rate = (progress.offered - offered) / (now - then) if now - then > 0.05 else 0.0
        self.before = (now, progress.offered)
        self._write(line(progress, now - self.began, rate, self.total, self._columns()))

    def end(self) -> None:
        """Take it away."""
        if self.tty and self.width:
            self._put("\r" + " " * self.width + "\r")

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(sys.stderr.fileno()).columns if self.tty else 80
        except OSError:
            return 80

    def _write(self, text: str) -> None:
        if self.tty:
            self._put("\r" + text + " " * max(0, self.width - len(text)))
            self.width = len(text)
        else:
            self._put(text + "\n")

    def _put(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self.quiet = True


def line(progress: Progress, seconds: float, rate: float, total: int | None, columns: int) -> str:
    """The line itself: time, bar, rate, held, latency, failures by cause; cut to the width of the screen."""
    done = progress.answered + progress.failed
    bar = ""
    if total:
        full = min(_BAR, _BAR * done // total)
        bar = f"[{'#' * full}{'.' * (_BAR - full)}] "
    parts = [f"{_clock(seconds)} {bar}{rate:,.0f}/s", f"held {progress.held:,}"]
    middle, high = progress.recent_percentile(50), progress.recent_percentile(99)
    if middle is not None and high is not None:
        parts.append(f"p50 {_time(middle)} p99 {_time(high)}")
    if progress.out:
        parts.append(f"out {progress.out:,}")
    if progress.lost:
        parts.append(f"lost {progress.lost:,}")
    worst = sorted(progress.failures.items(), key=lambda each: -each[1])
    parts += [f"{name.replace('_', ' ')} {count:,}" for name, count in worst[:3]]
    text = "  ".join(parts)
    return text if len(text) < columns else text[: columns - 2] + "…"


def _clock(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
