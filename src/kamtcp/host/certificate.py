"""Self-signed server certificates for stand-in servers, made by this machine's openssl command.

Source  man openssl-req(1), openssl-ca(1)
Needs   the openssl command
Cost    about 10 ms (ECDSA), 100 ms (RSA)
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import Literal

from kamtcp.errors import KamtcpError

Key = Literal["ecdsa", "rsa"]

_CA = """\
[ca]
default_ca = it
[it]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:{name},IP:127.0.0.1
"""


class NoCertificate(KamtcpError):
    """The openssl command is missing, or made none."""


def self_signed(key: Key = "ecdsa", *, name: str = "standin", days: int = 2) -> bytes:
    """A new key and its self-signed certificate, PEM, in one block.

    Args:
        key: "ecdsa" (P-256) or "rsa" (2048).
        name: common name, and alternative name beside 127.0.0.1.
        days: how long it holds.

    Raises:
        NoCertificate: there is no openssl command, or it refused.
    """
    argv = ["req", "-x509", "-nodes", *_new(key), "-subj", f"/CN={name}", "-days", str(days)]
    argv += ["-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", "-", "-out", "-"]
    return _openssl(argv)


def expired(key: Key = "ecdsa", *, name: str = "standin") -> bytes:
    """The same, for a certificate that held for January 2020 alone.

    Raises:
        NoCertificate: as `self_signed` does.
    """
    with tempfile.TemporaryDirectory(prefix="kamtcp-") as folder:
        with open(f"{folder}/ca.cnf", "w", encoding="ascii") as file:
            file.write(_CA.format(folder=folder, name=name))
        with open(f"{folder}/index", "wb"):
            pass
        pem, asked = f"{folder}/key.pem", f"{folder}/asked.pem"
        _openssl(["req", "-new", "-nodes", *_new(key), "-subj", f"/CN={name}", "-keyout", pem, "-out", asked])
        argv = [
            "ca",
            "-selfsign",
            "-batch",
            "-notext",
            "-config",
            f"{folder}/ca.cnf",
            "-keyfile",
            pem,
            "-in",
            asked,
        ]
        made = _openssl([*argv, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z"])
        with open(pem, "rb") as file:
            return file.read() + made


def _new(key: Key) -> list[str]:
    return (
        ["-newkey", "rsa:2048"] if key == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    )


def _openssl(argv: list[str]) -> bytes:
    try:
        done = subprocess.run(
            ["openssl", *argv],
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise NoCertificate(f"openssl could not be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise NoCertificate("openssl made no certificate in 60 s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise NoCertificate(f"openssl made no certificate: {said[-1]}")
    return done.stdout
