"""What explain has to say, as one JSON document: the same facts as the text."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kamtcp import __version__
from kamtcp.catalogue.look import line
from kamtcp.cli.explain_facts import Defect, Facts, Limit, Setting

SCHEMA = 1


def document(names: Sequence[str], found: Sequence[Facts]) -> bytes:
    """One object: `settings`, `ceilings` and `findings`, each a list, in the order asked for."""
    return msgspec.json.encode({
        "schema": SCHEMA, "kamtcp": __version__, "asked": list(names),
        "settings": [_setting(each) for each in found if isinstance(each, Setting)],
        "ceilings": [msgspec.to_builtins(each) for each in found if isinstance(each, Limit)],
        "findings": [msgspec.to_builtins(each) for each in found if isinstance(each, Defect)],
    })  # fmt: skip


def _setting(found: Setting) -> dict[str, object]:
    shown: dict[str, object] = msgspec.to_builtins(found)
    return {**shown, "project": found.entry.project, "see": line(found.entry)}
