"""Every transport against servers that hang, lie, cut, flood or are not there."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time

import pytest

from kamtcp.errors import ParseError, RpcError, UsageError
from kamtcp.host.door import Endpoint, Transport
from kamtcp.host.exchange import exchange
from kamtcp.host.local import _user_of_holder

REPLY = bytes.fromhex("a1 13 03 12 34 ab cd 20 40 00")
JSON = b'{"jsonrpc":"2.0","result":16384,"id":1}'
HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


class Stream:
    """A server of one connection in a thread: `act(connection, request)` is all that it does."""

    def __init__(self, listener, act):
        self.listener, self.act, self.request = listener, act, b""
        listener.settimeout(5)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            self.request = connection.recv(65536)
            with contextlib.suppress(OSError):  # the client has had enough
                self.act(connection)

    def close(self):
        self.listener.close()
        self.thread.join(6)


@pytest.fixture(params=["unix", "tcp", "http"])
def stream(request, tmp_path):
    """Start a server with a behaviour; gives its endpoint. The behaviour gets the connection and a `wrap` for replies."""
    servers = []

    def start(act):
        if request.param == "unix":
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(tmp_path / "ctl"))
            endpoint = Endpoint(Transport.BINRPC_UNIX, str(tmp_path / "ctl"))
        else:
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{listener.getsockname()[1]}"
            endpoint = (
                Endpoint(Transport.BINRPC_TCP, place)
                if request.param == "tcp"
                else Endpoint(Transport.JSON_HTTP, f"http://{place}/RPC")
            )
        listener.listen()
        servers.append(Stream(listener, act))
        return endpoint

    start.reply = HTTP % (len(JSON), JSON) if request.param == "http" else REPLY
    start.answer = JSON if request.param == "http" else REPLY
    start.servers = servers
    yield start
    for server in servers:
        server.close()


def until_closed(connection):
    """Wait until the client gives up."""
    while connection.recv(65536):
        pass


def test_a_whole_reply_is_returned(stream):
    """Header and length decide; the server need not close."""

    def act(connection):
        connection.sendall(stream.reply)
        until_closed(connection)

    assert exchange(stream(act), b"question", 2.0) == stream.answer
    assert stream.servers[0].request.endswith(b"question")


def test_a_reply_in_single_bytes_is_put_together(stream):
    """Nothing is assumed about how the bytes arrive."""

    def act(connection):
        for byte in stream.reply:
            connection.sendall(bytes((byte,)))
            time.sleep(0.001)

    assert exchange(stream(act), b"question", 2.0) == stream.answer


def test_a_server_that_hangs_is_a_timeout(stream):
    """After the time asked for, not after a multiple of it."""
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no whole answer in 0\.2 s"):
        exchange(stream(until_closed), b"question", 0.2)
    assert time.monotonic() - began < 1


def test_a_server_that_drips_is_a_timeout(stream):
    """The deadline is for all of the call: a byte now and then does not renew it."""

    def act(connection):
        for byte in stream.reply[:-1] * 100:
            connection.sendall(bytes((byte,)))
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        exchange(stream(act), b"question", 0.3)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 100, b"\xa1\x23" + b"x" * 50])
def test_a_foreign_server_is_an_rpc_error(stream, garbage):
    """At once, and with what came instead."""
    with pytest.raises(RpcError):
        exchange(stream(lambda c: (c.sendall(garbage), until_closed(c))), b"question", 2.0)


@pytest.mark.parametrize("missing", [1, 5, 1000])
def test_a_cut_reply_is_an_rpc_error(stream, missing):
    """The server's 10 ms send timeout leaves such replies behind."""
    with pytest.raises(RpcError, match="cut after"):
        exchange(stream(lambda c: c.sendall(stream.reply[:-missing])), b"question", 2.0)


def test_fifty_megabytes_are_refused_before_they_are_read(stream):
    """The header says it; nothing of the body is kept."""
    fifty = 50 << 20
    head = (
        HTTP.split(b"%s")[0] % fifty
        if stream.answer == JSON
        else b"\xa1\x1f" + fifty.to_bytes(4, "big") + b"kamt"
    )

    def act(connection):
        connection.sendall(head)
        for _ in range(50):
            connection.sendall(b"x" * (1 << 20))

    with pytest.raises(RpcError, match=r"more than 8388608"):
        exchange(stream(act), b"question", 2.0)


def test_bytes_after_the_reply_are_refused(stream):
    """One question, one answer: whatever else comes is not understood."""
    with pytest.raises(RpcError, match="after the reply"):
        exchange(stream(lambda c: c.sendall(stream.reply + b"more")), b"question", 2.0)


def test_a_large_reply_comes_whole(stream):
    """Close to the bound, over a socket that needs many reads."""
    size = 8_000_000
    if stream.answer == JSON:
        body = b'{"result":"' + b"x" * size + b'"}'
        whole = HTTP % (len(body), body)
    else:
        whole = body = b"\xa1\x1f" + size.to_bytes(4, "big") + b"kamt" + b"x" * size
    assert exchange(stream(lambda c: c.sendall(whole)), b"question", 5.0) == body


def test_nobody_there_is_an_oserror(tmp_path):
    """As the kernel gave it."""
    path = str(tmp_path / "ctl")
    for transport in (Transport.BINRPC_UNIX, Transport.JSON_DGRAM, Transport.JSON_FIFO):
        with pytest.raises(FileNotFoundError):
            exchange(Endpoint(transport, path, str(tmp_path)), JSON, 1.0)
    for kind, transport in (
        (socket.SOCK_STREAM, Transport.BINRPC_UNIX),
        (socket.SOCK_DGRAM, Transport.JSON_DGRAM),
    ):
        dead = socket.socket(socket.AF_UNIX, kind)
        dead.bind(path)
        dead.close()
        with pytest.raises(ConnectionRefusedError):
            exchange(Endpoint(transport, path), JSON, 1.0)
        os.unlink(path)
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device"):
        exchange(Endpoint(Transport.JSON_FIFO, path, str(tmp_path)), JSON, 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for transport, address in (
        (Transport.BINRPC_TCP, f"127.0.0.1:{port}"),
        (Transport.JSON_HTTP, f"http://127.0.0.1:{port}/RPC"),
    ):
        with pytest.raises(ConnectionRefusedError):
            exchange(Endpoint(transport, address), JSON, 1.0)
    assert os.listdir(tmp_path) == ["ctl"]


def test_a_server_that_no_longer_accepts_is_a_timeout(tmp_path):
    """The queue of a unix socket is full: the kernel says EAGAIN where one would expect it to wait."""
    path = str(tmp_path / "ctl")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(path)
        listener.listen(0)
        waiting.connect(path)
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="no whole answer"):
            exchange(Endpoint(Transport.BINRPC_UNIX, path), b"question", 0.2)
        assert 0.15 < time.monotonic() - began < 1


@pytest.mark.parametrize("address", ["localhost:2049", "127.0.0.1", "127.0.0.1:sip", "é:1", ""])
def test_names_and_nonsense_are_not_looked_up(address):
    """A name server that hangs must not hang kamtcp."""
    with pytest.raises(UsageError):
        exchange(Endpoint(Transport.BINRPC_TCP, address), b"question", 1.0)
    for url in (f"http://{address}/RPC", f"https://{address}/RPC", "http://127.0.0.1:1/a b"):
        with pytest.raises(UsageError):
            exchange(Endpoint(Transport.JSON_HTTP, url), b"question", 1.0)


def test_an_ipv6_address_is_taken():
    """In brackets, as ss prints it."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        exchange(Endpoint(Transport.BINRPC_TCP, f"[::1]:{port}"), b"question", 1.0)


def test_a_path_beyond_108_bytes_is_reached(tmp_path):
    """/proc/PID/root in front makes paths longer than a socket address takes."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(deep, os.O_PATH)
    listener.bind(f"/proc/self/fd/{here}/ctl")
    os.close(here)
    listener.listen()
    server = Stream(listener, lambda c: c.sendall(REPLY))
    endpoint = Endpoint(Transport.BINRPC_UNIX, f"/{'d' * 60}/{'e' * 60}/ctl")
    assert exchange(endpoint, b"question", 2.0, root=str(tmp_path)) == REPLY
    server.close()


class Datagrams:
    """A datagram server that answers once, with whatever `replies` gives it for the sender."""

    def __init__(self, path, *replies):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.sock.bind(path)
        self.sock.settimeout(5)
        self.sender, self.replies = b"", replies
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            _, self.sender = self.sock.recvfrom(65536)
        except OSError:
            return
        for reply in self.replies:
            self.sock.sendto(reply, self.sender)

    def close(self):
        self.sock.close()
        self.thread.join(6)


@pytest.fixture
def datagrams(tmp_path):
    servers = []

    def start(*replies):
        servers.append(Datagrams(str(tmp_path / "rpc.sock"), *replies))
        return Endpoint(Transport.JSON_DGRAM, f"{tmp_path}//rpc.sock")

    start.servers = servers
    yield start
    for server in servers:
        server.close()


def test_a_datagram_leaves_no_file(datagrams, tmp_path):
    """The name that the server answers to is an abstract one."""
    assert exchange(datagrams(JSON), JSON, 2.0) == JSON
    assert datagrams.servers[0].sender.startswith(b"\0")
    assert os.listdir(tmp_path) == ["rpc.sock"]


@pytest.mark.parametrize("reply", [b"", b"hello", b'{"cut":', b'{"x":"' + b"y" * (1 << 20) + b'"}'])
def test_datagrams_that_are_no_object_are_refused(datagrams, reply):
    """Foreign, cut, or larger than the buffer."""
    with pytest.raises(RpcError):
        exchange(datagrams(reply), JSON, 2.0)


def test_a_silent_datagram_server_is_a_timeout(datagrams):
    """Kamailio gives no reply at all above 128 KiB."""
    with pytest.raises(TimeoutError, match="no whole answer"):
        exchange(datagrams(), JSON, 0.2)


def test_strangers_can_not_answer(datagrams):
    """An abstract name can be guessed; only the server we are connected to gets through."""
    endpoint = datagrams()
    outcome = []
    asker = threading.Thread(target=lambda: outcome.append(_error_of(endpoint)))
    asker.start()
    server = datagrams.servers[0]
    server.thread.join(5)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger, pytest.raises(PermissionError):
        stranger.sendto(JSON, server.sender)
    asker.join(5)
    assert outcome == [TimeoutError]


def _error_of(endpoint):
    try:
        exchange(endpoint, JSON, 0.5)
    except Exception as error:  # noqa: BLE001
        return type(error)
    return None


@pytest.mark.netns
def test_a_datagram_server_in_another_network_namespace_answers_into_a_file(tmp_path):
    """Abstract names do not reach across namespaces; the file that does is removed."""
    import ctypes

    made = []

    def elsewhere():
        if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET, of this thread
            made.append(OSError(ctypes.get_errno(), "unshare"))
        else:
            made.append(Datagrams(str(tmp_path / "rpc.sock"), JSON))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(5)
    if isinstance(made[0], OSError):
        pytest.skip(f"no namespaces here: {made[0]}")
    assert exchange(Endpoint(Transport.JSON_DGRAM, str(tmp_path / "rpc.sock")), JSON, 2.0) == JSON
    assert made[0].sender.startswith(str(tmp_path / "kamtcp_"))
    assert os.listdir(tmp_path) == ["rpc.sock"]
    made[0].close()


class Fifo:
    """A FIFO server that answers once, in pieces, into the FIFO that the request names."""

    def __init__(self, directory, *pieces):
        self.directory, self.pieces, self.request, self.mode = directory, pieces, b"", 0
        os.mkfifo(directory / "rpc.fifo")
        self.fifo = os.open(directory / "rpc.fifo", os.O_RDWR | os.O_NONBLOCK)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        until = time.monotonic() + 5
        while time.monotonic() < until and not self.request:
            try:
                self.request = os.read(self.fifo, 65536)
            except BlockingIOError:
                time.sleep(0.005)
        names = [
            name
            for name in os.listdir(self.directory)
            if name.encode() in self.request and name != "rpc.fifo"
        ]
        self.mode = os.stat(self.directory / names[0]).st_mode & 0o777
        if self.pieces is not None and self.pieces != (None,):
            reply = open(self.directory / names[0], "wb", buffering=0)  # noqa: SIM115
            with reply, contextlib.suppress(BrokenPipeError):
                for piece in self.pieces:
                    reply.write(piece)
                    time.sleep(0.01)

    def close(self):
        self.thread.join(6)
        os.close(self.fifo)


@pytest.fixture
def fifo(tmp_path):
    servers = []

    def start(*pieces):
        servers.append(Fifo(tmp_path, *pieces))
        return Endpoint(Transport.JSON_FIFO, str(tmp_path / "rpc.fifo"), str(tmp_path))

    start.servers = servers
    yield start
    for server in servers:
        server.close()


def test_a_fifo_answer_is_read_until_the_server_closes(fifo, tmp_path):
    """In pieces; and our own FIFO, which nobody else may write to, is gone afterwards."""
    assert exchange(fifo(JSON[:5], JSON[5:]), JSON, 2.0) == JSON
    assert fifo.servers[0].mode == 0o600
    assert b'"reply_name":"kamtcp_' in fifo.servers[0].request
    assert os.listdir(tmp_path) == ["rpc.fifo"]


@pytest.mark.parametrize("pieces", [(), (b"hello",), (b'{"cut":',), (b"{" + b"x" * (9 << 20),)])
def test_fifo_answers_that_are_no_object_are_refused(fifo, tmp_path, pieces):
    """Nothing, foreign, cut, more than 8 MiB."""
    with pytest.raises(RpcError):
        exchange(fifo(*pieces), JSON, 5.0)
    assert os.listdir(tmp_path) == ["rpc.fifo"]


def test_the_user_of_a_server_whose_fifo_is_roots_is_found(tmp_path):
    """Started with `-u kamailio` it makes its FIFO as root; who has it open tells whom to let in."""
    if os.geteuid() != 0:
        pytest.skip("changing the user needs root")
    os.mkfifo(tmp_path / "rpc.fifo")
    found = os.stat(tmp_path / "rpc.fifo")
    assert _user_of_holder(found, "rpc.fifo") is None
    held = os.open(tmp_path / "rpc.fifo", os.O_RDWR)
    holder = subprocess.Popen(["sleep", "60"], stdin=held, user=65534)
    os.close(held)
    try:
        assert _user_of_holder(found, "rpc.fifo") == 65534
    finally:
        holder.kill()
        holder.wait(5)


def test_a_silent_fifo_server_is_a_timeout(fifo, tmp_path):
    """Nothing of ours is left behind then, either."""
    with pytest.raises(TimeoutError, match="no whole answer"):
        exchange(fifo(None), JSON, 0.3)
    assert os.listdir(tmp_path) == ["rpc.fifo"]


def test_what_is_no_fifo_is_not_written_to(tmp_path):
    """A file of that name stays as it was; a link is not followed; an overlong request is not begun."""
    target = tmp_path / "file"
    target.write_bytes(b"kept")
    (tmp_path / "link").symlink_to(target)
    for name, error in (("file", RpcError), ("link", OSError)):
        with pytest.raises(error):
            exchange(Endpoint(Transport.JSON_FIFO, str(tmp_path / name), str(tmp_path)), JSON, 1.0)
    with pytest.raises(RpcError, match="in one piece"):
        exchange(
            Endpoint(Transport.JSON_FIFO, str(target), str(tmp_path)), b'{"x":"' + b"y" * 5000 + b'"}', 1.0
        )
    assert target.read_bytes() == b"kept"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_a_request_for_another_transport_is_an_rpc_error(tmp_path):
    """BINRPC bytes for a FIFO never leave."""
    os.mkfifo(tmp_path / "rpc.fifo")
    with pytest.raises(RpcError) as caught:
        exchange(Endpoint(Transport.JSON_FIFO, str(tmp_path / "rpc.fifo"), str(tmp_path)), b"\xa1\x03", 1.0)
    assert isinstance(caught.value.__cause__, ParseError)


def test_a_reply_fifo_that_was_replaced_is_not_given_away(tmp_path, monkeypatch):
    """In a directory of another user anything may take its place before it is opened; root must not chown that."""
    os.mkfifo(tmp_path / "rpc.fifo")
    os.chown(tmp_path / "rpc.fifo", 65534, 65534)
    reader = os.open(tmp_path / "rpc.fifo", os.O_RDONLY | os.O_NONBLOCK)
    precious = tmp_path / "precious"
    precious.write_bytes(b"kept")
    os.mkfifo(tmp_path / "old", 0o600)  # root's own, of before
    make = os.mkfifo
    for thing in ("precious", "old"):
        taken: list[int] = []

        def swapped(path, mode, *, dir_fd=None, thing=thing, taken=taken):
            make(path, mode, dir_fd=dir_fd)
            os.rename(tmp_path / path, tmp_path / f"x{path}")
            os.link(tmp_path / thing, tmp_path / path)
            taken.append(os.open(tmp_path / path, os.O_PATH))

        monkeypatch.setattr(os, "mkfifo", swapped)
        with pytest.raises(RpcError):
            exchange(Endpoint(Transport.JSON_FIFO, str(tmp_path / "rpc.fifo"), str(tmp_path)), JSON, 0.3)
        assert os.fstat(taken[0]).st_uid == os.geteuid()
        os.close(taken[0])
    os.close(reader)


def test_nothing_is_chmodded_by_name(tmp_path, monkeypatch, datagrams):
    """The answering socket's file gets its mode as it is made: a link in its place would lead chmod elsewhere."""
    from kamtcp.host import local

    monkeypatch.setattr(
        local, "_bound_here", lambda _: False
    )  # as where the server is in another network namespace
    monkeypatch.setattr(os, "chmod", None)
    modes = []
    unlink = os.unlink
    monkeypatch.setattr(
        os, "unlink", lambda path: (modes.append(os.stat(path).st_mode & 0o777), unlink(path))
    )
    assert exchange(datagrams(JSON), JSON, 2.0) == JSON
    assert modes == [0o666]
