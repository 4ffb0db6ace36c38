"""Exit codes of every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """0 well, 1 findings, 2 usage or own error, 3 could not see enough to say."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    BLIND = 3
