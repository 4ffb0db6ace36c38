"""Names that were looked at and have no entry, with the reason: so that nothing is missing by accident."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from kamtcp.catalogue.load import data


@functools.cache
def left_out() -> Mapping[str, str]:
    """Name to reason."""
    import tomllib

    found: dict[str, str] = {}
    for group in tomllib.loads(data("left_out.toml").decode("utf-8")).values():
        for name in group["names"]:
            found[name] = group["reason"]
    return found
