"""check --kamailio-cfg: a configuration that is not started yet, in place of what runs."""

from __future__ import annotations

import argparse
import os

from msgspec.structs import replace

from kamtcp.cli import out
from kamtcp.cli.exits import Exit
from kamtcp.cli.run import Parser
from kamtcp.errors import ConfigError, UsageError
from kamtcp.host.door import Host
from kamtcp.model.snapshot import Snapshot

#: mistakes of a configuration that are shown; more say nothing new
_SHOWN = 20


def add_options(parser: argparse.ArgumentParser) -> None:
    """The file and its arguments."""
    if isinstance(parser, Parser):
        parser.dashed |= {"--args"}
    group = parser.add_argument_group(
        "before a start", "judge a configuration that is not started, with this host's limits"
    )
    group.add_argument(
        "--kamailio-cfg", metavar="FILE", help="the kamailio.cfg, always of the machine kamtcp runs on"
    )
    group.add_argument("--args", default=None, metavar="'ARGS'",
                       help="what Kamailio would be started with, such as '-m 512 -M 16 -A WITH_TLS'; those of kamailio.service without it")  # fmt: skip


def snapshot_of(options: argparse.Namespace, host: Host, snapshot: Snapshot) -> Snapshot:
    """The host with the one instance that a start would make, instead of those that run.

    Raises:
        UsageError: options that don't go together, or no such file. ConfigError: Kamailio would refuse it.
    """
    from kamtcp.host.live import Live
    from kamtcp.survey import prospective, start_config

    for name, given in (("--instance", options.instance), ("--save-target", options.save_target)):
        if given:
            raise UsageError(f"{name} speaks of what runs; leave it out with --kamailio-cfg")
    path = os.path.abspath(options.kamailio_cfg)
    given = options.args
    start = start_config.of_unit(path, host) if given is None else start_config.of_arguments(path, given)
    away = options.recording is not None
    instance = prospective.collect(start, Live(), host, snapshot, away=away)
    return replace(snapshot, instances=(instance,), unseen=())


def refused(error: ConfigError) -> Exit:
    """Say what is wrong with the configuration, each with its line and a caret."""
    for lines in error.shown[:_SHOWN]:
        out.complain(f"kamtcp check: {lines[0]}")
        for line in lines[1:]:
            out.complain_as_is(line)
    if len(error.shown) > _SHOWN:
        out.complain(f"kamtcp check: and {len(error.shown) - _SHOWN} more")
    return Exit.USAGE
