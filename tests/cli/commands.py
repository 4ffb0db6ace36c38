"""Running kamtcp in this process, on the recording of the reference set-up."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamtcp.__main__ import main

REFERENCE = str(Path(__file__).parents[1] / "data/reference.kamtcp")


class Ran:
    """One run: exit code, what it printed, what it complained about."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """`kamtcp ARGUMENTS`."""
    code = main(list(arguments))
    said = capsys.readouterr()
    return Ran(code, said.out, said.err)


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """`kamtcp check --from REFERENCE ARGUMENTS`."""
    return run(capsys, "check", "--from", REFERENCE, *arguments)
