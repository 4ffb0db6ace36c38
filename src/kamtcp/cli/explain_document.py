"""What explain has to say, as one JSON document: the same facts as the text. Its schema is docs/explain.schema.json."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from kamtcp import __version__
from kamtcp.capacity.ceiling import Spec
from kamtcp.catalogue.entry import Entry
from kamtcp.catalogue.look import line
from kamtcp.cli.encode import encode
from kamtcp.cli.explain_facts import AtCeiling, Defect, Facts, Limit, OfCode, Proposal, Setting
from kamtcp.cli.explain_here import Here
from kamtcp.cli.explain_links import page_of

SCHEMA = "kamtcp-explain/1"
LIST_SCHEMA = "kamtcp-explain-list/1"


class AboutSetting(Struct, frozen=True):
    """A setting or counter: the catalogue's entry, and what was seen of it here.

    Args:
        project: whose releases `since`, `gone` and `history` of the entry count.
        page: below docs/reference/. see: a shell line that shows it without kamtcp, "" where there is none.
        default_here, exists_here, here, proposals, ceilings, codes: see explain_facts.Setting.
    """

    entry: Entry
    project: str
    page: str
    see: str
    default_here: str
    exists_here: bool | None
    here: tuple[Here, ...]
    proposals: tuple[Proposal, ...]
    ceilings: tuple[AtCeiling, ...]
    codes: tuple[OfCode, ...]


class AboutCeiling(Struct, frozen=True):
    """A ceiling, what it is for each Kamailio, and the settings that bear on it, the cheapest cure first."""

    spec: Spec
    page: str
    here: tuple[AtCeiling, ...]
    settings: tuple[str, ...]
    codes: tuple[OfCode, ...]


class AboutFinding(Struct, frozen=True):
    """A finding code, what was found of it here, and the settings and the ceiling that it speaks of."""

    of: OfCode
    page: str
    ceilings: tuple[AtCeiling, ...]
    settings: tuple[str, ...]


class Document(Struct, frozen=True):
    """The whole answer of `kamtcp explain --json`; each list in the order asked for."""

    schema: str
    kamtcp: str
    asked: tuple[str, ...]
    settings: tuple[AboutSetting, ...]
    ceilings: tuple[AboutCeiling, ...]
    findings: tuple[AboutFinding, ...]


class Listed(Struct, frozen=True):
    """One name of the list; `group` is its subject, "ceilings" or "findings"."""

    group: str
    name: str
    title: str
    page: str


class ListDocument(Struct, frozen=True):
    """The whole answer of `kamtcp explain --list --json`."""

    schema: str
    kamtcp: str
    names: tuple[Listed, ...]


def document(names: Sequence[str], found: Sequence[Facts]) -> bytes:
    """The document, indented for people, one newline at its end."""
    return encode(Document(
        SCHEMA, __version__, tuple(names),
        tuple(_setting(each) for each in found if isinstance(each, Setting)),
        tuple(_ceiling(each) for each in found if isinstance(each, Limit)),
        tuple(_finding(each) for each in found if isinstance(each, Defect)),
    ))  # fmt: skip


def listed(rows: Sequence[Listed]) -> bytes:
    """Everything that can be explained."""
    return encode(ListDocument(LIST_SCHEMA, __version__, tuple(rows)))


def _setting(of: Setting) -> AboutSetting:
    entry = of.entry
    return AboutSetting(
        entry, entry.project, page_of(entry), line(entry), of.default_here, of.exists_here, of.here, of.proposals,
        of.ceilings, of.codes,
    )  # fmt: skip


def _ceiling(of: Limit) -> AboutCeiling:
    return AboutCeiling(of.spec, page_of(of.spec), of.here, of.settings, of.codes)


def _finding(of: Defect) -> AboutFinding:
    return AboutFinding(of.of, page_of(of.of.code), of.ceilings, of.settings)
