"""Where a reading command looks: this host, or a recording."""

from __future__ import annotations

import argparse

from kamtcp.host.door import Host


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--from`, the same on every reading command."""
    parser.add_argument(
        "--from", dest="recording", metavar="FILE", help="judge a recording made by kamtcp record"
    )


def hosts(options: argparse.Namespace) -> tuple[Host, ...]:
    """The places to look at: one live host, or every sample of a recording, oldest first.

    Raises:
        RecordingError: the file is no recording, or is damaged.
    """
    if options.recording is None:
        from kamtcp.host.live import Live

        return (Live(),)
    from kamtcp.record.archive import load
    from kamtcp.record.recorded import samples

    return samples(load(options.recording))
