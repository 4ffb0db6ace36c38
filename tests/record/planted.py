"""A host full of secrets: what a recorder may read there, and every text of it that must not leave it."""

from __future__ import annotations

import struct

# Each stands for itself and must be gone, as text, packed, or in the hexadecimal of /proc/net.
SECRETS = [
    # passwords, tokens, keys
    "kamailiorw9", "p@ss/w'ord x", "hunter2hunter", "Tr0ub4dor", "s3cr3t-redis", "pgpw77", "rootpw!5", "env-sesame", "opensesame1", "topohmask",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "0123456789abcdef0123456789abcdef", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "6629fae49393a05397450978507c4ef1",
    "dcd98b7102dd2af0e8b11d0f600bfb0c", "pin4711pin", "basicpw55", "QWxhZGRpbjpvcGVuIHNlc2FtZQ", "defsecret12", "unitpw88", "cmdlinepw3", "modsecret6", "jsonpw66",
    "binpw99x",
    # people and calls
    "alice", "bob.smith", "Carol Danvers", "Dave O", "evelyn", "mallory", "+491701234567", "+4930555123", "a84b4c76e66710", "callid77xyz",
    "dbadmin", "redisuser7", "trudy", "peggy",
    # places
    "sip.operator.example", "db.internal.example.com", "rpc.operator.example.com", "atlanta.com", "edge-proxy-7", "pc33.atlanta.com", "biloxi.org",
    "10.77.3.4", "10.77.3.5", "192.168.44.9", "203.0.113.77", "8.8.4.4", "198.51.100.23", "2001:db8:77::5", "fd12:3456:789a::1", "172.19.5.6", "100.99.98.97",
    "02:42:ac:11:00:07",
]  # fmt: skip

CONFIG = r"""#!KAMAILIO
#!define WITH_TLS
#!define MYADDR 10.77.3.4
#!define MYPORT 5060
#!define TCPMAX 20000
#!define POLL epoll_lt
#!define PIN "pin4711pin"
#!define API_TOKEN "defsecret12"
#!trydef DBURL "mysql://kamailio:kamailiorw9@db.internal.example.com/kamailio"
#!substdef "!MYLISTEN!tcp:MYADDR:MYPORT!g"
#!ifdef WITH_TLS
enable_tls=yes
#!endif
/* mail to alice@atlanta.com */
tcp_max_connections=TCPMAX
tls_max_connections = 4096
tcp_connection_lifetime=3605
tcp_rd_buf_size=16384
tcp_children=8
tcp_poll_method=POLL
tcp_keepalive=yes
tcp_keepidle=60
open_files_limit=65536
children=4
shm_mem_size=256
listen=MYLISTEN
listen=udp:10.77.3.4:5060 advertise 203.0.113.77:5060
listen=tls:[2001:db8:77::5]:5061
alias="sip.operator.example"
server_id=17
user="kamailio"
pstn.gw_ip = "198.51.100.23" desc "gateway of Dave O"
loadmodule "tm.so"
loadmodule "/usr/lib/x86_64-linux-gnu/kamailio/modules/tls.so"
modparam("tm|usrloc", "fr_timer", 30000)
modparam("usrloc", "db_url", "mysql://dbadmin:p@ss/w'ord x@10.77.3.5/kamailio")
modparam("auth_db", "db_url", DBURL)
modparam("topoh", "mask_key", "topohmask")
modparam("ndb_redis", "server", "name=srv1;addr=192.168.44.9;port=6379;db=1;user=redisuser7;pass=s3cr3t-redis")
modparam("auth", "secret", 'modsecret6')
modparam("auth", "nonce_expire", 300)
modparam("uac", "credential", "trudy:sip.operator.example:Tr0ub4dor")
modparam("http_client", "httpcon", "api=>http://peggy:basicpw55@rpc.operator.example.com:8080/v1")
modparam("db_postgres", "con", "host=10.77.3.5 user=dbadmin password=pgpw77")
modparam("nathelper", "sipping_from", "sip:mallory@biloxi.org")
modparam("tls", "config", "/etc/kamailio/tls.cfg")
modparam("tls", "private_key", "/etc/kamailio/key.pem")
modparam("websocket", "keepalive_timeout", 180)
modparam("gcrypt", "init_vector", "0123456789abcdef0123456789abcdef")
modparam("jwt", "bearer", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")
request_route {
    if ($si == "8.8.4.4" || $rU == "evelyn") { drop; }  // evelyn again
    include_file "routes/more.cfg"
    if ($ua =~ "trudy's \"phone\"") route(RELAY);  # of peggy
    $du = "sip:bob.smith:rootpw!5@10.77.3.5:5080;transport=tcp";
    append_hf("P-Asserted-Identity: \"Carol Danvers\" <sip:+491701234567@atlanta.com>\r\n");
    append_hf("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"); route(RELAY);
    xlog("L_INFO", "[$cfg(route)] $ci from tel:+4930555123\n");
}
"""

_ARGUMENTS = [
    "/usr/sbin/kamailio", "-P", "/run/kamailio/kamailio.pid", "-f", "/etc/kamailio/kamailio.cfg", "-m", "512", "-M", "16", "-N", "12",
     "-l", "tcp:10.77.3.4:5060", "-A", "DBURL=mysql://dbadmin:cmdlinepw3@172.19.5.6/k", "-A", "WITH_X=yes", "-ATCPMAX=20000", "-A", "GREETING=hello Carol Danvers",
     "--modparam=auth:secret:s:modsecret6", "--substdef=!KEY!opensesame1!g", ""
]  # fmt: skip
CMDLINE = "\0".join(_ARGUMENTS).encode()

ENVIRON = b"\0".join(
    [
        b"PATH=/usr/bin",
        b"SHM_MEMORY=512",
        b"DB_PASSWORD=env-sesame",
        b"PINCODE_SECRET=4711",
        b"HOME=/home/alice",
        b"MALLOC_ARENA_MAX=2",
        b"LOGNAME=bob.smith",
        b"",
    ]
)

LOG = rb"""Nov 22 07:11:38 edge-proxy-7 kamailio[831]: ERROR: <core> [core/tcp_main.c:4003]: handle_new_connect(): maximum number of connections exceeded: 997/997
Nov 22 07:11:38 edge-proxy-7 kamailio[831]: CRITICAL: <core> [core/tcp_main.c:4012]: handle_new_connect(): hit the limit of connections per source IP (198.51.100.23) - rejecting
2026-11-22T07:11:39.123456+01:00 edge-proxy-7 kamailio[832]: NOTICE: <script>: user evelyn calls +491701234567 from Carol Danvers
with a second line about mallory
Nov 22 07:11:40 edge-proxy-7 kamailio[833]: ERROR: auth_db [authorize.c:128]: get_ha1(): failed for user [bob.smith@biloxi.org] realm=sip.operator.example
Nov 22 07:11:40 edge-proxy-7 kamailio[833]: NOTICE: acc [acc.c:279]: acc_log_request(): ACC: transaction answered: timestamp=1763795500;method=INVITE;call_id=a84b4c76e66710@pc33.atlanta.com;code=200;src_user=alice
 3(834) ERROR: <core> [core/msg_translator.c:1]: parse(): bad message: [INVITE sip:evelyn@203.0.113.77 SIP/2.0#015#012Via: SIP/2.0/TCP pc33.atlanta.com;branch=z9hG4bK#015#012From: Carol Danvers <sip:alice@atlanta.com>;tag=1#015#012Call-ID: callid77xyz#015#012Authorization: Digest username="alice", realm="atlanta.com", nonce="dcd98b7102dd2af0e8b11d0f600bfb0c", response="6629fae49393a05397450978507c4ef1"#015#012]
 3(834) CRITICAL: <core> [core/tcp_main.c:4500]: send2child(): tcp child 3, socket 17: queue full, 279 requests queued (total handled 5123)
 3(834) ERROR: tm [tm.c:5]: t(): to 100.99.98.97:5060 and fd12:3456:789a::1 user=trudy username="peggy" token: Tr0ub4dor
"""

UNIT = b"""[Service]
User=kamailio
Environment='CFGFILE=/etc/kamailio/kamailio.cfg'
Environment="SHM_MEMORY=64" 'DB_PASS=unitpw88' GREETING=Carol\\ Danvers
EnvironmentFile=-/etc/default/kamailio
ExecStart=/usr/sbin/kamailio -P /run/kamailio/kamailio.pid -f $CFGFILE -m $SHM_MEMORY -M 8 -A 'DBPW="rootpw!5"' -A N=7
LimitNOFILE=20200:524288
"""

DEFAULT = b"""# alice@atlanta.com set this
SHM_MEMORY=512
export PKG_MEMORY="16"
USER=kamailio
CFGFILE=/etc/kamailio/kamailio.cfg
DBRWPW="hunter2hunter"
SESAME='opensesame1'
DUMP_CORE=yes
"""

TLS = b"""[server:10.77.3.4:5061]
method = TLSv1.2+
private_key = /etc/kamailio/key.pem
server_name = sip.operator.example
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASC
-----END PRIVATE KEY-----
"""

JSON = rb"""{
 "jsonrpc": "2.0",
 "result": [
  {"id": 1, "type": "TCP", "state": "CONN_OK", "timeout": 3603, "src_ip": "198.51.100.23", "src_port": 51390, "dst_ip": "10.77.3.4", "dst_port": 5060},
  {"AoR": "alice", "Contact": "sip:bob.smith@192.168.44.9:5060;transport=ws", "Call-ID": "callid77xyz", "User-Agent": "phone of trudy"},
  {"name": "API_TOKEN", "type": 0, "value": "jsonpw66"},
  "-A", "PIN=\"pin4711pin\"", "udp receiver child=0 sock=10.77.3.4:5060", "kamailio 5.6.3 (x86_64/linux)",
  "from \"Carol Danvers\" <sip:evelyn@biloxi.org>"
 ],
 "free": 61438384.0, "id": 1
}"""


def _string(kind: int, text: str) -> bytes:
    value = text.encode() + b"\0"
    if len(value) < 8:
        return bytes((len(value) << 4 | kind,)) + value
    return bytes((0x90 | kind, len(value))) + value


def _binrpc() -> bytes:
    body = b"\x03" + _string(5, "readers") + b"\x10\x04" + _string(5, "src_ip") + _string(1, "198.51.100.23")
    body += _string(5, "user") + _string(1, "alice") + _string(5, "free") + b"\x82" + bytes(8) + b"\x83"
    body += (
        _string(1, "-A")
        + _string(1, "DBPASS=binpw99x")
        + _string(1, "sip:evelyn@atlanta.com")
        + _string(1, "kamailio 5.6.3 (x86_64/linux) ")
    )
    return b"\xa1\x13" + bytes((len(body),)) + b"\x12\x34\xab\xcd" + body


BINRPC = _binrpc()


def inet_diag(
    family: int, sport: int, dport: int, source: bytes, destination: bytes, *, extra: bytes = b""
) -> bytes:
    """One SOCK_DIAG_BY_FAMILY message."""
    body = (
        struct.pack("=BBBB", family, 1, 0, 0)
        + struct.pack(">HH", sport, dport)
        + source.ljust(16, b"\0")
        + destination.ljust(16, b"\0")
    )
    body += struct.pack("=III", 0, 7, 0) + struct.pack("=IIIII", 0, 0, 0, 0, 99)
    body += struct.pack("=HHI", 8, 15, 0) + extra
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body


PROC_TCP = b"""  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 04034D0A:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 12345 1 0000000000000000 100 0 0 10 0
   1: 04034D0A:13C4 176433C6:C8BE 01 00000000:00000000 00:00000000 00000000   107        0 12346 1 0000000000000000 20 4 30 10 -1
"""

ROUTE = b"""Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	05034D0A	0003	0	0	0	00000000	0	0	0
eth0	00034D0A	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""

HOSTS = b"127.0.0.1 localhost\n10.77.3.4 edge-proxy-7 pc33.atlanta.com # box of alice\n"
