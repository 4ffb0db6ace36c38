"""Every known way to go wrong is a code of some rule, or stands with the reason why no rule on settings can find it."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

from kamtcp.diagnose.codes import BY_CODE

TABLE = tomllib.loads((Path(__file__).parent / "rows.toml").read_text())
#: rows of each part; a row that is taken out is missed here
ROWS = {
    "kamailio.severity": 24, "kamailio.precedence": 4, "kamailio.runtime": 10, "kamailio.facts": 12, "kamailio.log": 27,
    "kamailio.formulas": 6, "kamailio.issues": 16, "kamailio.websocket": 5, "kamailio.parameters": 3, "linux.mechanics": 15, "linux.life": 11,
    "linux.hash": 2, "linux.traps": 34, "limits": 6,
}  # fmt: skip
#: the parts on settings alone may not be put off to symptoms
ALL_RULES = ("kamailio.severity", "kamailio.formulas", "linux.life", "limits")


def rows() -> list[tuple[str, str, dict[str, object]]]:
    found = []
    for part, content in TABLE.items():
        for name, value in content.items():
            if "codes" in value or "instead" in value:
                found.append((part, name, value))
            else:
                found += [(f"{part}.{name}", row, each) for row, each in value.items()]
    return found


def test_no_row_is_lost():
    assert Counter(part for part, _, _ in rows()) == ROWS


def test_every_row_is_a_code_or_has_its_reason():
    for part, name, value in rows():
        codes, instead = value.get("codes", []), value.get("instead", "")
        assert bool(codes) != bool(instead), (part, name)
        assert isinstance(codes, list)
        assert set(codes) <= set(BY_CODE), (part, name)
        assert instead == "" or len(str(instead).split()) >= 4, (part, name)


def test_what_settings_alone_tell_is_never_put_off():
    put_off = [(part, name) for part, name, value in rows() if "instead" in value and part in ALL_RULES]
    assert [row for row in put_off if row != ("kamailio.formulas", "alias-and-id-buckets")] == []
