"""Who may be loaded: cards of listeners, and what the operator has to answer for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from kamtcp.errors import UsageError
from kamtcp.host.live import Live
from kamtcp.loadgen import owned
from kamtcp.loadgen.permission import Kind, permission
from kamtcp.loadgen.target import Aim

HERE = os.readlink("/proc/self/ns/net")


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("KAMTCP_STATE", str(tmp_path / "state"))


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def aim(server: socket.socket) -> Aim:
    return Aim("tcp", "127.0.0.1", server.getsockname()[1])


def inode(server: socket.socket) -> int:
    return os.fstat(server.fileno()).st_ino


def test_a_listener_with_a_card_is_free(server):
    path = owned.leave((inode(server),), "responder")
    found = permission(aim(server), Live(), HERE)
    assert found.kind is Kind.FREE
    assert found.reason == f"responder of this user, pid {os.getpid()}"
    os.unlink(path)
    with pytest.raises(UsageError, match="--i-own-this-host"):
        permission(aim(server), Live(), HERE)


def test_a_card_of_another_socket_or_namespace_is_none(server):
    owned.leave((inode(server) + 1,), "responder")
    with pytest.raises(UsageError, match="no listener that kamtcp started"):
        permission(aim(server), Live(), HERE)
    owned.leave((inode(server),), "responder")
    with pytest.raises(UsageError):
        permission(aim(server), Live(), "net:[1]")


def test_a_card_of_a_process_that_ended_is_none(server):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        owned.leave((inode(server),), "responder", other.pid)
        assert permission(aim(server), Live(), HERE).kind is Kind.FREE
        other.stdin.close()
        other.wait()
    with pytest.raises(UsageError):
        permission(aim(server), Live(), HERE)


def test_a_card_of_an_earlier_process_of_that_number_is_none(server):
    path = owned.leave((inode(server),), "responder")
    with open(path) as file:
        card = json.load(file)
    card["started"] -= 1
    with open(path, "w") as file:
        json.dump(card, file)
    with pytest.raises(UsageError):
        permission(aim(server), Live(), HERE)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"pid":"x"}', b"\xff\xfe", b"{}" * 100_000])
def test_a_damaged_card_is_none(server, damage):
    path = owned.leave((inode(server),), "responder")
    with open(path, "wb") as file:
        file.write(damage)
    assert not list(owned.cards())


def test_a_card_that_others_could_have_written_is_none(server):
    path = owned.leave((inode(server),), "responder")
    os.chmod(path, 0o666)
    assert not list(owned.cards())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_card_of_another_user_is_none(server):
    path = owned.leave((inode(server),), "responder")
    os.chown(path, 65534, 65534)
    assert not list(owned.cards())


def test_a_second_listener_that_takes_the_address_must_be_ours_too():
    """SO_REUSEPORT: the kernel deals connections out to both."""
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 0))
        two.bind(one.getsockname())
        one.listen()
        two.listen()
        owned.leave((inode(one),), "responder")
        with pytest.raises(UsageError):
            permission(aim(one), Live(), HERE)
        owned.leave((inode(one), inode(two)), "responder")
        assert permission(aim(one), Live(), HERE).kind is Kind.FREE


def test_what_nobody_owns_needs_an_owner(server):
    found = permission(aim(server), Live(), HERE, i_own_this_host=True)
    assert (found.kind, found.others) == (Kind.OWNED, 0)


def test_connections_of_others_need_more_than_an_owner(server):
    with socket.create_connection(server.getsockname()), server.accept()[0]:
        with pytest.raises(UsageError, match=r"1 established connections of others.*--production"):
            permission(aim(server), Live(), HERE, i_own_this_host=True)
        found = permission(aim(server), Live(), HERE, i_own_this_host=True, production=True)
    assert (found.kind, found.others) == (Kind.PRODUCTION, 1)


def test_a_target_elsewhere_is_owned_at_most():
    far = Aim("tcp", "192.0.2.1", 5060)
    with pytest.raises(UsageError):
        permission(far, Live(), HERE)
    found = permission(far, Live(), HERE, i_own_this_host=True)
    assert found.kind is Kind.OWNED
    assert "could not be seen" in found.reason
