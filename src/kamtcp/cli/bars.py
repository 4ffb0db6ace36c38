"""A bar that shows use now, target and ceiling on one scale, readable without colour."""

from __future__ import annotations

#: now, room below the ceiling, beyond the ceiling up to the target, the target's mark
UNICODE = ("█", "░", "╌", "┃")
ASCII = ("#", ".", "-", "|")


def bar(
    now: int, ceiling: float, goal: int | None, width: int, marks: tuple[str, str, str, str] = UNICODE
) -> str:
    """Draw one bar of `width` characters; its full length is the ceiling or the target, whichever is more.

    Args:
        now: use now.
        ceiling: the limit, inf for none.
        goal: the target, None for none.
        width: in characters.
        marks: for now, room, missing and target.
    """
    used, room, missing, mark = marks
    full = max(now, goal or 0, 1) if ceiling == float("inf") else max(ceiling, goal or 0, now, 1)

    def cells(value: float) -> int:
        return min(width, int(value / full * width + 0.5))

    filled = max(1, cells(now)) if now > 0 else 0
    top = width if ceiling == float("inf") else max(cells(ceiling), filled if now <= ceiling else 0)
    line = [used] * filled + [room] * max(0, top - filled)
    line += [missing] * (width - len(line))
    if goal:
        line[max(0, min(width - 1, cells(goal) - 1))] = mark
    return "".join(line[:width])
