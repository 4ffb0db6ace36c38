"""What is secret on a host is not in its recording; what the ladder is computed from is."""

from __future__ import annotations

import importlib.util
import re
import socket
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.host.door import Reader
from kamtcp.record import archive
from kamtcp.record.archive import Failed, Header, Recording, RpcFailed, Withheld, load, write
from kamtcp.record.scrub import Scrubber, leaks

_spec = importlib.util.spec_from_file_location("planted", Path(__file__).with_name("planted.py"))
planted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(planted)

READER = Reader(0, 0, 1, 4096, 100, 2, "6.18.44-1.2.3.4", "x86_64", "edge-proxy-7", 1.0, 2.0, "net:[1]")
KEY = b"k" * 32


def packed(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


DUMP = (
    planted.inet_diag(2, 5060, 51390, packed("10.77.3.4"), packed("198.51.100.23"))
    + planted.inet_diag(2, 5060, 51391, packed("10.77.3.4"), packed("198.51.100.24"))
    + planted.inet_diag(2, 5060, 0, packed("10.77.3.4"), bytes(4))
    + planted.inet_diag(10, 5061, 51392, packed("2001:db8:77::5"), packed("fd12:3456:789a::1"))
    + planted.inet_diag(10, 5061, 51393, packed("::ffff:10.77.3.4"), packed("::ffff:198.51.100.23"))
)

HOST = {
    ("", "reader"): READER,
    ("", "read", "/etc/kamailio/kamailio.cfg", 1 << 22): planted.CONFIG.encode(),
    ("", "read", "/proc/831/cmdline", 1 << 22): planted.CMDLINE,
    ("", "read", "/proc/831/environ", 1 << 22): planted.ENVIRON,
    ("", "tail", "/var/log/kamailio.log", 1 << 22): planted.LOG,
    ("", "read", "/lib/systemd/system/kamailio.service", 1 << 22): planted.UNIT,
    ("", "read", "/etc/default/kamailio", 1 << 22): planted.DEFAULT,
    ("", "read", "/etc/kamailio/tls.cfg", 1 << 22): planted.TLS,
    ("", "read", "/etc/kamailio/key.pem", 1 << 22): planted.TLS,
    ("", "read", "/etc/hosts", 1 << 22): planted.HOSTS,
    ("", "read", "/proc/sys/kernel/hostname", 1 << 22): b"edge-proxy-7\n",
    ("", "read", "/sys/class/net/eth0/address", 1 << 22): b"02:42:ac:11:00:07\n",
    ("within:831", "read", "/proc/831/net/tcp", 1 << 22): planted.PROC_TCP,
    ("", "read", "/proc/net/route", 1 << 22): planted.ROUTE,
    ("", "netlink", 4, b"request"): DUMP,
    (
        "",
        "call",
        "jsonrpc unix datagram",
        "/run/kamailio/rpc.sock",
        "/tmp",
        b'{"method": "core.tcp_list"}',
    ): planted.JSON,
    (
        "",
        "call",
        "binrpc tcp",
        "10.77.3.4:2049",
        "/tmp",
        b"\xa1\x03\x03\x01\x01\x01\x01\x21a\0",
    ): planted.BINRPC,
    ("", "call", "jsonrpc http", "http://rpc.operator.example.com:8080/RPC", "/tmp", b"{}"): RpcFailed(
        "no reply from 10.77.3.4:8080"
    ),
    ("", "listdir", "/etc/kamailio/peers"): ("10.77.3.5.cfg", "8.8.4.4.cfg", "kamailio.cfg"),
    ("", "readlink", "/etc/kamailio/current"): "/etc/kamailio/peers/10.77.3.5.cfg",
}


@pytest.fixture(scope="module")
def scrubbed():
    scrubber = Scrubber(KEY)
    return {key: (scrubber.key(key), scrubber.answer(key, value)) for key, value in HOST.items()}


def text(scrubbed, path):
    return next(value for key, (_, value) in scrubbed.items() if path in key).decode()


def test_no_planted_secret_is_in_the_written_file(scrubbed, tmp_path):
    write(tmp_path / "r", Recording(Header("0", 0.0, True), [dict(scrubbed.values())]))
    data = (tmp_path / "r").read_bytes()
    raw = zlib.decompress(data[data.index(b"\n") + 1 : -archive._END_SIZE])
    # before, each of them was there
    before = b"".join(value if isinstance(value, bytes) else repr(value).encode() for value in HOST.values())
    assert set(planted.SECRETS) - set(leaks(before, planted.SECRETS)) == set()
    assert leaks(raw, planted.SECRETS) == ()
    assert load(tmp_path / "r").samples == [dict(scrubbed.values())]


def test_the_parameters_of_the_configuration_survive(scrubbed):
    after = text(scrubbed, "/etc/kamailio/kamailio.cfg")
    for line in planted.CONFIG.splitlines():
        if re.match(
            r"[a-z_]+ ?= ?(\d+|yes|TCPMAX|POLL|MYLISTEN)$|#!(KAM|if|end)|loadmodule|#!define (WITH|MYPORT|TCPMAX|POLL)",
            line,
        ):
            assert line in after.splitlines()
    for kept in (
        'modparam("tm|usrloc", "fr_timer", 30000)',
        'modparam("auth", "nonce_expire", 300)',
        'modparam("tls", "config", "/etc/kamailio/tls.cfg")',
        'modparam("tls", "private_key", "/etc/kamailio/key.pem")',
        'modparam("websocket", "keepalive_timeout", 180)',
        'modparam("auth_db", "db_url", DBURL)',
        '#!substdef "!MYLISTEN!tcp:MYADDR:MYPORT!g"',
        'user="kamailio"',
        '"scrubbed"); route(RELAY);',
        'include_file "routes/more.cfg"',
        'if ($ua =~ "scrubbed") route(RELAY);  #',
    ):
        assert kept in after
    assert after.count("\n") == planted.CONFIG.count("\n")
    assert all(len(re.findall(r'(?<!\\)"', line)) % 2 == 0 for line in after.splitlines())


def test_addresses_are_the_same_ones_in_the_configuration_the_dump_the_replies_and_the_keys(scrubbed):
    listen = re.search(
        r"listen=udp:([\d.]+):5060 advertise ([\d.]+):5060", text(scrubbed, "/etc/kamailio/kamailio.cfg")
    )
    dump = scrubbed["", "netlink", 4, b"request"][1]
    assert len(dump) == len(DUMP)
    assert dump[24:28] == packed(listen[1])
    assert f"#!define MYADDR {listen[1]}\n" in text(scrubbed, "/etc/kamailio/kamailio.cfg")
    assert f'"dst_ip": "{listen[1]}"' in text(scrubbed, "/run/kamailio/rpc.sock")
    assert f"tcp:{listen[1]}:5060" in text(scrubbed, "/proc/831/cmdline")
    assert any(f"{listen[1]}:2049" in key for key, _ in scrubbed.values())
    assert packed(listen[1])[::-1].hex().upper() + ":13C4" in text(scrubbed, "/proc/831/net/tcp")
    names = scrubbed["", "listdir", "/etc/kamailio/peers"][1]
    assert scrubbed["", "readlink", "/etc/kamailio/current"][1].rpartition("/")[2] in names
    assert "kamailio.cfg" in names


def test_the_structure_of_a_dump_is_kept(scrubbed):
    dump = scrubbed["", "netlink", 4, b"request"][1]
    size = len(planted.inet_diag(2, 0, 0, b"", b""))
    before = [DUMP[n : n + size] for n in range(0, len(DUMP), size)]
    after = [dump[n : n + size] for n in range(0, len(dump), size)]
    for old, new in zip(before, after, strict=True):
        assert old[:24] == new[:24]
        assert old[56:] == new[56:]
    source, destination = [message[24:40] for message in after], [message[40:56] for message in after]
    assert source[0] == source[1] == source[2]
    assert destination[0][:3] == destination[1][:3]
    assert destination[0] != destination[1]
    assert destination[2] == bytes(16)
    assert source[4] == bytes(10) + b"\xff\xff" + source[0][:4]


def test_log_lines_keep_what_they_are_recognised_by(scrubbed):
    after = text(scrubbed, "/var/log/kamailio.log").splitlines()
    assert len(after) == len(planted.LOG.decode().splitlines())
    assert after[0].endswith(
        "kamailio[831]: ERROR: <core> [core/tcp_main.c:4003]: handle_new_connect(): maximum number of connections exceeded: 997/997"
    )
    assert after[0].startswith("Nov 22 07:11:38 host-")
    assert re.search(
        r"hit the limit of connections per source IP \(198\.51\.100\.\d+\) - rejecting$", after[1]
    )
    assert after[2].startswith("2026-11-22T07:11:39.123456+01:00 host-")
    assert after[2].endswith("NOTICE: <script>: scrubbed")
    assert after[3] == "scrubbed"
    assert after[7].endswith(
        "send2child(): tcp child 3, socket 17: queue full, 279 requests queued (total handled 5123)"
    )


def test_command_line_and_environment_keep_options_and_plain_integers(scrubbed):
    after = text(scrubbed, "/proc/831/cmdline").split("\0")
    assert after[:10] == planted.CMDLINE.decode().split("\0")[:10]
    assert len(after) == len(planted.CMDLINE.decode().split("\0"))
    assert {"WITH_X=yes", "-ATCPMAX=20000", "GREETING=scrubbed", "--modparam=auth:secret:s:scrubbed"} <= set(
        after
    )
    assert text(scrubbed, "/proc/831/environ").split("\0") == [
        "PATH=scrubbed", "SHM_MEMORY=512", "DB_PASSWORD=scrubbed", "PINCODE_SECRET=scrubbed", "HOME=scrubbed", "MALLOC_ARENA_MAX=2", "LOGNAME=scrubbed", "",
    ]  # fmt: skip


def test_units_and_shell_files_keep_limits_sizes_and_paths(scrubbed):
    unit = text(scrubbed, "/lib/systemd/system/kamailio.service")
    for kept in (
        "User=kamailio",
        "Environment='CFGFILE=/etc/kamailio/kamailio.cfg'",
        '"SHM_MEMORY=64"',
        "LimitNOFILE=20200:524288",
        "-f $CFGFILE -m $SHM_MEMORY -M 8",
        "-A N=7",
    ):
        assert kept in unit
    default = text(scrubbed, "/etc/default/kamailio")
    for kept in (
        "SHM_MEMORY=512",
        'export PKG_MEMORY="16"',
        "USER=kamailio",
        "CFGFILE=/etc/kamailio/kamailio.cfg",
        "DUMP_CORE=yes",
        'DBRWPW="scrubbed"',
    ):
        assert kept in default.splitlines()


def test_json_replies_stay_json_and_keep_their_numbers(scrubbed):
    import json

    before, after = json.loads(planted.JSON), json.loads(text(scrubbed, "/run/kamailio/rpc.sock"))
    assert after["free"] == before["free"]
    assert [after["result"][0][name] for name in ("id", "timeout", "src_port", "state")] == [
        1,
        3603,
        51390,
        "CONN_OK",
    ]
    assert after["result"][6] == "kamailio 5.6.3 (x86_64/linux)"


def test_binrpc_replies_keep_their_framing(scrubbed):
    after = next(value for key, (_, value) in scrubbed.items() if "binrpc tcp" in key)
    assert after[:2] == planted.BINRPC[:2]
    assert after[2] == len(after) - 7
    assert after[3:7] == planted.BINRPC[3:7]
    assert b"\x85\x08readers\0\x10\x04" in after.replace(b"\x95", b"\x85")
    assert b"\x82" + bytes(8) + b"\x83" in after
    assert b"kamailio 5.6.3 (x86_64/linux) \0" in after


CAPTURED = (
    (
        "a1 13 52 12 34 ab cd 03 45 6e 6f 77 00 91 19 53 75 6e 20 4e 6f 76 20 32 32 20 30 37 3a 31 31 3a 33 38 20 32 30 32 36 00 95 09 75 70 5f 73 69 6e 63"
        " 65 00 91 19 53 75 6e 20 4e 6f 76 20 32 32 20 30 37 3a 31 31 3a 32 39 20 32 30 32 36 00 75 75 70 74 69 6d 65 00 10 09 83"
    ),
    "a1 33 1f 12 34 ab cd 20 01 f4 91 1a 63 6f 6d 6d 61 6e 64 20 6e 6f 2e 73 75 63 68 20 6e 6f 74 20 66 6f 75 6e 64 00",
    "a1 03 0f 12 34 ab cd 91 0d 63 6f 72 65 2e 76 65 72 73 69 6f 6e 00",
)


@pytest.mark.parametrize("captured", CAPTURED)
def test_replies_without_secrets_stay_as_they_are(captured):
    data = bytes.fromhex(captured)
    scrubber = Scrubber(KEY)
    assert scrubber.answer(("", "call", "binrpc unix stream", "/run/c", "/tmp", b""), data) == data
    assert scrubber.key(("", "call", "binrpc unix stream", "/run/c", "/tmp", data)) == (
        "",
        "call",
        "binrpc unix stream",
        "/run/c",
        "/tmp",
        data,
    )


def test_binrpc_that_can_not_be_taken_apart_is_withheld_if_it_holds_text():
    scrubber, key = Scrubber(KEY), ("", "call", "binrpc unix stream", "/run/c", "/tmp", b"")
    assert isinstance(scrubber.answer(key, planted.BINRPC[:-3]), Withheld)
    assert isinstance(scrubber.answer(key, planted.BINRPC + b"more"), Withheld)
    assert scrubber.answer(key, b"\xa1\x13\xff\x01\x01") == b"\xa1\x13\xff\x01\x01"


def test_what_can_not_be_taken_apart_is_withheld():
    scrubber = Scrubber(KEY)
    assert isinstance(scrubber.answer(("", "netlink", 4, b""), DUMP[:-5]), Withheld)
    assert isinstance(scrubber.answer(("", "netlink", 12, b""), DUMP), Withheld)
    assert isinstance(
        scrubber.answer(("", "read", "/usr/bin/x", 100), b"\x7fELF\0password=hunter2"), Withheld
    )
    assert isinstance(
        scrubber.answer(("", "read", "/proc/sys/net/ipv4/tcp_fastopen_key", 100), b"a1b2c3d4-00000001-0-0\n"),
        Withheld,
    )
    assert isinstance(scrubber.answer(("", "read", "/etc/kamailio/key.pem", 100), planted.TLS), Withheld)


def test_md5_keys_and_unknown_attributes_of_sockets_are_zeroed():
    secret = b"tcp-md5-key!"
    extra = (
        struct.pack("=HH", 4 + len(secret), 18) + secret + struct.pack("=HH", 4 + len(secret), 99) + secret
    )
    data = DUMP + planted.inet_diag(2, 179, 179, packed("10.77.3.4"), packed("10.77.3.5"), extra=extra) + DUMP
    after = Scrubber(KEY).answer(("", "netlink", 4, b""), data)
    assert secret not in after
    assert len(after) == len(data)


def test_filters_in_netlink_requests_follow_the_map():
    scrubber = Scrubber(KEY)
    plain = struct.pack("=IHHIIBBBBI", 72, 20, 0x301, 1, 0, 2, 6, 0xFF, 0, 0xFFFFFFFF) + bytes(48)
    assert scrubber.key(("", "netlink", 4, plain)) == ("", "netlink", 4, plain)
    condition = bytes((7, 16, 20, 0)) + bytes((2, 32, 0, 0)) + struct.pack("=i", -1) + packed("10.77.3.4")
    filtered = plain + struct.pack("=HH", 4 + len(condition), 1) + condition
    _, _, _, request = scrubber.key(("", "netlink", 4, filtered))
    mapped = scrubber.answer(("", "netlink", 4, b""), DUMP)[24:28]
    assert request == filtered[:-4] + mapped


def route_message(kind, fixed, *attributes):
    body = fixed + b"".join(
        struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
        for number, value in attributes
    )
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def test_rtnetlink_addresses_routes_and_tunnel_ends_are_scrubbed_and_the_rest_stays():
    mac, tunnel = bytes.fromhex("0242ac110007"), struct.pack("=HH", 8, 6) + packed("8.8.4.4")
    info = struct.pack("=HH", 8, 1) + b"gre\0" + struct.pack("=HH", 4 + len(tunnel), 2) + tunnel
    link = route_message(
        16,
        bytes(16),
        (3, b"eth0\0"),
        (1, mac),
        (2, b"\xff" * 6),
        (4, struct.pack("=I", 1500)),
        (20, b"rack of alice\0"),
        (18, info),
    )
    address = route_message(20, bytes((2, 24)) + bytes(6), (1, packed("10.77.3.4")), (3, b"eth0\0"))
    route = route_message(
        24,
        bytes((2, 16)) + bytes(10),
        (1, packed("10.77.0.0")),
        (5, packed("10.77.3.5")),
        (4, struct.pack("=I", 2)),
    )
    scrubber = Scrubber(KEY)
    after = scrubber.answer(("", "netlink", 0, b""), link + address + route)
    assert len(after) == len(link + address + route)
    assert leaks(after, ["02:42:ac:11:00:07", "8.8.4.4", "alice", "10.77.3.4", "10.77.3.5"]) == ()
    assert mac not in after
    for kept in (b"eth0\0", b"gre\0", b"\xff" * 6, struct.pack("=HHI", 8, 4, 1500)):
        assert kept in after
    assert after[len(link) + 16 + 8 + 4 :][:4] == scrubber.answer(("", "netlink", 4, b""), DUMP)[24:28]
    assert after[len(link + address) + 16 + 12 + 4 :][2:4] == b"\0\0"


@pytest.mark.parametrize(
    "line",
    [
        "kamailio 5.6.3 (x86_64/linux) and version 1.2.3.4, lib.so.1.2.3.4, 1.3.6.1.4.1.9.2",
        "at 12:34:56 and 2026-11-22T07:11:38.123456+01:00 mac aa:bb:cc:dd:ee:ff std::add 0::/system.slice",
        "mask 255.255.255.0 from 127.0.0.1 and ::1 to 0.0.0.0 and [::]:5060 by 224.0.1.75",
        "tcp_max_connections=2048 net.ipv4.tcp_mem = 1 2 3 core.tcp_info -1 0x7f001122aabb 6.18.44-1-amd64",
        "Sun Nov 22 07:11:38 2026 TLS_AES_256_GCM_SHA384 TLSv1.3 Kx=any Au=any Enc=AESGCM(256)",
        "IPv6AcceptRouterAdvertisements=no RuntimeDirectoryMode=0770 kamailio@prod.service",
        "tcpconn_new(): mem. allocation failure; shm=16536160 threshold1=17301504",
    ],
)
def test_what_only_looks_like_a_secret_stays(line):
    data = (line + "\n").encode()
    for key in (("", "read", "/etc/x.conf", 1 << 20), ("", "tail", "/var/log/x", 1 << 20)):
        assert Scrubber(KEY).answer(key, data) == data


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("src 2001:DB8:77:0:0:0:0:5:5060 gone", "2001:DB8:77:0:0:0:0:5"),
        ("peer 2001:db8:77::5: refused", "2001:db8:77::5"),
        ("range 10.77.3.4-10.77.3.5", "10.77.3.5"),
        ("tcpdump 10.77.3.4.5060 > x", "10.77.3.4"),
        ("padded 010.077.003.004 here", "010.077.003.004"),
        ("a ::ffff:10.77.3.4 b", "10.77.3.4"),
        ("v6 1:2:10.77.3.4 no", "10.77.3.4"),
        ("redis://:pw=1@h:6379/0", "pw=1"),
        ('"mysql://u:a"b@h/d" x', "u:a"),
        ('password="it\'s\\"quoted"', "quoted"),
        ("PASSWORD: 'unclosed secret", "unclosed"),
        ("sip%3aalice%40atlanta.com", "alice"),
        ("Proxy-Authorization: Basic QWxhZGRpbg==", "QWxhZGRpbg"),
        ("username=alice", "alice"),
        ('append_hf("Authorization: Basic QWxhZGRpbg==\\r\\n"); x', "QWxhZGRpbg"),
    ],
)
def test_secrets_in_odd_places_are_found(line, secret):
    assert leaks(Scrubber(KEY).answer(("", "tail", "/var/log/x", 1 << 20), line.encode()), [secret]) == ()


def test_a_line_that_a_limit_has_cut_is_left_out():
    scrubber = Scrubber(KEY)
    assert scrubber.answer(("", "tail", "/var/log/x", 20), b"of alice\nnumber 1234\n"[:20]) == b"number 1234"
    assert scrubber.answer(("", "read", "/etc/x", 20), b"number=1\nmysql://u:pa") == b"number=1\n"


def test_a_password_that_was_learnt_is_removed_elsewhere():
    scrubber = Scrubber(KEY)
    early = scrubber.answer(("", "read", "/etc/a.conf", 100), b"greeting sesame-4711 here\n")
    scrubber.answer(("", "read", "/etc/b.conf", 100), b'password="sesame-4711"\n')
    assert scrubber.residue(early) == ("sesame-4711",)
    assert b"sesame" not in scrubber.again(early)
    assert b"sesame" not in scrubber.answer(("", "read", "/etc/a.conf", 100), b"greeting sesame-4711 here\n")


def test_the_node_gets_a_pseudonym_and_the_rest_of_the_reader_stays():
    scrubber = Scrubber(KEY)
    after = scrubber.answer(("", "reader"), READER)
    assert re.fullmatch("host-[0-9a-f]{10}", after.node)
    assert (after.release, after.netns, after.realtime) == (READER.release, READER.netns, READER.realtime)
    assert (
        scrubber.answer(("", "read", "/proc/sys/kernel/hostname", 100), b"edge-proxy-7\n")
        == f"{after.node}\n".encode()
    )


def test_addresses_can_be_kept_while_secrets_still_go():
    scrubber = Scrubber(KEY, keep_addresses=True)
    after = scrubber.answer(("", "read", "/etc/kamailio/kamailio.cfg", 1 << 22), planted.CONFIG.encode())
    assert b"listen=udp:10.77.3.4:5060" in after
    assert b"listen=tls:[2001:db8:77::5]:5061" in after
    assert leaks(after, ["kamailiorw9", "alice", "s3cr3t-redis", "Tr0ub4dor"]) == ()
    assert scrubber.answer(("", "netlink", 4, b""), DUMP) == DUMP


def test_numbers_of_the_kernel_pass_untouched():
    scrubber = Scrubber(KEY)
    data = b"1.2.3.4 10 20\n"
    for path in (
        "/proc/net/softnet_stat",
        "/proc/831/stat",
        "/proc/sys/net/ipv4/tcp_mem",
        "/proc/831/net/netstat",
        "/sys/fs/cgroup/memory/x/memory.stat",
    ):
        assert scrubber.answer(("", "read", path, 4096), data) == data
    assert scrubber.answer(("", "read", "/x", 10), Failed(2)) == Failed(2)


def test_a_key_of_a_few_bytes_is_refused():
    with pytest.raises(ValueError, match="16 to 64"):
        Scrubber(b"short")


paths = st.sampled_from(
    [
        "/etc/kamailio/kamailio.cfg",
        "/proc/1/cmdline",
        "/proc/1/environ",
        "/var/log/x.log",
        "/proc/net/tcp",
        "/etc/hosts",
        "/etc/default/k",
        "/x",
    ]
)
pieces = st.sampled_from(
    [b'"', b"'", b"\\", b"=", b":", b"://", b"@", b"sip:", b"-A ", b"#!define X ", b'modparam("a","pass","', b'")', b"\n", b"\0", b"10.1.2.3", b"2001:db8::1", b"::", b"From: ",
     b"password", b"Environment=", b"a1", b"<", b">", b" ", b"\xff", b"Authorization:", b"call-id"]
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    paths,
    st.lists(st.one_of(pieces, st.binary(max_size=6)), max_size=30).map(b"".join),
    st.sampled_from(["read", "tail", "call", "netlink", "search"]),
)
def test_no_bytes_make_the_scrubber_fail(path, data, operation):
    key = ("", operation, 4, data) if operation == "netlink" else ("", operation, path, 1 << 20)
    scrubber = Scrubber(KEY)
    assert isinstance(scrubber.answer(key, data), bytes | Withheld)
    assert scrubber.key(key)[:2] == key[:2]


addresses4 = st.tuples(*[st.integers(1, 254)] * 4).map(lambda octets: ".".join(map(str, octets)))


@settings(max_examples=100, deadline=None)
@given(
    addresses4,
    st.sampled_from(
        [
            "{}",
            "x={}:5060",
            "udp:{}:5060",
            "[{}]",
            "sip:{};lr",
            "({}) - rejecting",
            "http://{}:80/RPC",
            '"{}"',
            "{}/32",
            "peer-{}.log",
        ]
    ),
)
def test_an_address_is_mapped_alike_wherever_it_stands(address, form):
    scrubber = Scrubber(KEY)
    plain = scrubber.answer(("", "read", "/x", 1 << 20), address.encode()).decode()
    assert scrubber.answer(
        ("", "read", "/x", 1 << 20), form.format(address).encode()
    ).decode() == form.format(plain)


@settings(max_examples=30, deadline=None)
@given(st.integers(2000, 40000))
def test_hostile_texts_take_time_in_proportion_to_their_length(size):
    import time

    scrubber = Scrubber(KEY)
    for piece in (
        b"a",
        b"a.",
        b"a:",
        b'"',
        b"sip:",
        b"password=",
        b"http://a@",
        b"1.",
        b"#!define ",
        b"-A ",
        b"a=",
        b"\\",
        b"call-id:",
        b"A1b2",
    ):
        start = time.process_time()
        scrubber.answer(("", "tail", "/var/log/x", 1 << 22), piece * (size // len(piece)))
        assert time.process_time() - start < 5
