#!/usr/bin/env python3
"""Fetch Kamailio and SIPp for the tests: Debian packages, unpacked under the checkout, never installed.

    scripts/fetch_packages.py [--cache DIR] [--again]

Uses the machine's own apt sources and keys with lists, archives and state below DIR (default: .cache/packages
of the checkout), so it needs no root and leaves the system's apt alone. Packages that the machine already has are not
fetched. The result is DIR/root; tests find it there (or where KAMTCP_KAMAILIO_ROOT says). Runs again only if what
was asked for changed, or with --again.

Source  apt.conf(5), apt-get(8), dpkg-deb(1)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys

PACKAGES = ("kamailio", "kamailio-tls-modules", "kamailio-websocket-modules", "sip-tester", "nftables")
CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class CannotFetchError(Exception):
    """Why there are no packages, in one line."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", default=os.path.join(CHECKOUT, ".cache", "packages"), metavar="DIR")
    parser.add_argument("--again", action="store_true", help="fetch even if it was done before")
    options = parser.parse_args()
    try:
        print(fetch(os.path.abspath(options.cache), again=options.again))
    except CannotFetchError as error:
        print(f"fetch_packages: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"fetch_packages: {error.filename or 'system call'}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def fetch(cache: str, *, again: bool) -> str:
    """Do it; returns what to tell the caller.

    Raises:
        CannotFetchError: no apt, no such packages, no network, or an archive that can't be unpacked.
    """
    if os.access("/usr/sbin/kamailio", os.X_OK):
        return "kamailio is installed on this machine: nothing to fetch, the packages root is /"
    root, stamp = os.path.join(cache, "root"), os.path.join(cache, "stamp.json")
    asked = {"packages": list(PACKAGES), "machine": platform.machine(), "system": _system()}
    done = _read(stamp)
    if (
        not again
        and done.get("asked") == asked
        and os.access(os.path.join(root, "usr/sbin/kamailio"), os.X_OK)
    ):
        return f"{root}: already there ({', '.join(done.get('archives', []))})"
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise CannotFetchError(
                f"there is no {tool} here; unpack kamailio elsewhere and set KAMTCP_KAMAILIO_ROOT"
            )
    apt = _apt(cache)
    _run([*apt, "update"], "apt-get update")
    _run(
        [*apt, "install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES],
        "apt-get download",
    )
    folder = os.path.join(cache, "archives")
    archives = sorted(name for name in os.listdir(folder) if name.endswith(".deb"))
    if not any(name.startswith("kamailio_") for name in archives):
        raise CannotFetchError("apt-get fetched no kamailio package and said nothing")
    fresh = root + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    for name in archives:
        _run(["dpkg-deb", "--extract", os.path.join(folder, name), fresh], f"unpacking {name}")
    shutil.rmtree(root, ignore_errors=True)
    os.rename(fresh, root)
    with open(stamp + ".new", "w", encoding="utf-8") as file:
        json.dump({"asked": asked, "archives": archives}, file, indent=1)
    os.replace(stamp + ".new", stamp)
    return f"{root}: {len(archives)} packages unpacked ({', '.join(archives)})"


def _apt(cache: str) -> list[str]:
    """apt-get with everything it writes below `cache`, and what it installs on measured against this machine."""
    for name in ("lists/partial", "archives/partial", "state"):
        place = os.path.join(cache, name)
        if name.startswith("archives"):
            shutil.rmtree(os.path.dirname(place), ignore_errors=True)
        os.makedirs(place, exist_ok=True)
    settings = {
        "Dir::State": f"{cache}/state",
        "Dir::State::lists": f"{cache}/lists",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": cache,
        "Dir::Cache::archives": f"{cache}/archives",
        "Dir::Log": f"{cache}/state",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "root",  # the cache belongs to the caller, not to _apt
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "30",
        "Binary::apt-get::APT::Keep-Downloaded-Packages": "1",
        "APT::Keep-Downloaded-Packages": "1",
    }
    return ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]


def _run(argv: list[str], what: str) -> None:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", env=environment, timeout=600, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CannotFetchError(f"{what} did not end within 10 minutes") from error
    if done.returncode:
        lines = (done.stderr + "\n" + done.stdout).strip().splitlines()
        telling = [line for line in lines if line.startswith(("E:", "dpkg-deb:"))] or lines or ["no message"]
        raise CannotFetchError(f"{what} failed: {telling[0]}")


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _read(stamp: str) -> dict[str, list[str]]:
    try:
        with open(stamp, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
