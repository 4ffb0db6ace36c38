"""Configurations written to be misread. Each is read as Kamailio reads it, or refused where Kamailio refuses it."""

from __future__ import annotations

#: ends every configuration that is to start; it says how to ask the server
TAIL = b"""
children=1 log_stderror=no
listen=udp:127.0.0.1:5060
loadmodule "ctl.so"
loadmodule "cfg_rpc.so"
request_route { exit; }
"""

DIRECTORY = "/etc/kamailio/nasty"
MAIN = f"{DIRECTORY}/main.cfg"

#: name -> (files by name, main.cfg the one that is started; core parameters with the values that must come out)
READ: dict[str, tuple[dict[str, bytes], dict[str, int]]] = {
    "look-alikes of parameters in comments, strings and routes": (
        {
            "main.cfg": b"""#!KAMAILIO
loadmodule "pv.so"
tcp_max_connections=611
# tcp_max_connections=1
// tcp_max_connections=2
/* tcp_max_connections=3
   /* nested */ tcp_max_connections=4 */
server_header="Server: x
tcp_max_connections=5"
route[LOG] {
    # } tcp_max_connections=6
    /* } */
    if ($rm == 'tcp_max_connections=7 }') { exit; }
    exit;
}
"""
        },
        {"tcp_max_connections": 611},
    ),
    "the last of several assignments counts, on one line or many": (
        {
            "main.cfg": b"tcp_conn_wq_max=1000 tcp_conn_wq_max=2000;tcp_conn_wq_max\n=\n// no\n3000 /* x */ tcp_syncnt=3"
        },
        {"tcp_conn_wq_max": 3000, "tcp_syncnt": 3},
    ),
    "numbers of all bases, words, and too large ones": (
        {
            "main.cfg": b"tcp_conn_wq_max=0x7D0\ntcp_wq_max=04000\ntcp_syncnt=101b\ntcp_crlf_ping=enable\n"
            b"tcp_max_connections=4294967896\ntcp_keepidle=0"
        },
        {
            "tcp_conn_wq_max": 2000,
            "tcp_wq_max": 2048,
            "tcp_syncnt": 5,
            "tcp_crlf_ping": 1,
            "tcp_max_connections": 600,
        },
    ),
    "negative numbers, with blanks and comments behind the minus": (
        {"main.cfg": b"tcp_send_timeout= - /* x */ 1\ntcp_connect_timeout=-1\ntcp_max_connections=60"},
        {"tcp_max_connections": 60},
    ),
    "windows line ends": (
        {
            "main.cfg": b"#!define N 620\r\n#!ifdef N\r\ntcp_max_connections=N\r\n#!else\r\ntcp_max_connections=1\r\n#!endif\r\n"
        },
        {"tcp_max_connections": 620},
    ),
    "a byte order mark, NULs and letters of no alphabet": (
        {
            "main.cfg": b"\xef\xbb\xbf#!KAMAILIO\ntcp_max_connections=621\x00\x00\n\xe9\x0c\x0b?\\`\xfftcp_syncnt=4\n"
            b'server_header="Server: \xff\xfe\xe9"\n'
        },
        {"tcp_max_connections": 621, "tcp_syncnt": 4},
    ),
    "a line of a megabyte": (
        {"main.cfg": b"tcp_syncnt=2 " + b"/* x */ tcp_syncnt=3 ;" * 45_000 + b" tcp_max_connections=622"},
        {"tcp_max_connections": 622, "tcp_syncnt": 3},
    ),
    "includes: nested, relative, imported, missing ones imported, twice the same": (
        {
            "main.cfg": b'include_file "a.cfg"\n#!include_file "sub/b.cfg"\nimport_file "none.cfg"\n'
            b'!!import_file "/etc/kamailio/nasty/c.cfg"\ninclude_file "a.cfg" tcp_syncnt=7',
            "a.cfg": b"tcp_max_connections=623",
            "sub/b.cfg": b'tcp_wq_max=5000\ninclude_file "c.cfg"',
            "sub/c.cfg": b"tcp_conn_wq_max=4000",
            "c.cfg": b"#!trydef LATE\ntcp_wq_max=6000",
        },
        {"tcp_max_connections": 623, "tcp_syncnt": 7, "tcp_conn_wq_max": 4000, "tcp_wq_max": 6000},
    ),
    "defines of all kinds": (
        {
            "main.cfg": b"""#!define A 5
#!def B A
!!trydef A 6
#!trydefine C 7
#!redefine C 8
#!redef D 9
#!define E # a value that is a comment
#!define F tcp_wq_max=3000 \\
  tcp_conn_wq_max=2500
#!define tcp_syncnt 1
#!define exit 3
#!substdef "!LIMIT!624!g"
tcp_syncnt=B
tcp_max_connections=LIMIT
F
tcp_linger2=C E tcp_linger2=1
tcp_keepcnt=D
"""
        },
        {
            "tcp_syncnt": 5,
            "tcp_max_connections": 624,
            "tcp_wq_max": 3000,
            "tcp_conn_wq_max": 2500,
            "tcp_linger2": 8,
            "tcp_keepcnt": 9,
        },
    ),
    "names with a sign before or behind": (
        {
            "main.cfg": b"#!define .A 5\n#!define B=6\n#!define \n  C 7\ntcp_syncnt=A\ntcp_keepcnt B\ntcp_linger2=C"
        },
        {"tcp_syncnt": 5, "tcp_keepcnt": 6, "tcp_linger2": 7},
    ),
    "conditions inside parameters, calls and blocks": (
        {
            "main.cfg": b"""tcp_syncnt=
#!ifdef NOT
1
#!else
6
#!endif
#!ifndef NOT
route[A] {
#!ifdef NOT
    if (1) {
#!else
    if (2) {
#!endif
        exit; }
}
#!endif
tcp_keepcnt=4
"""
        },
        {"tcp_syncnt": 6, "tcp_keepcnt": 4},
    ),
    "conditions in comments, strings and left-out branches": (
        {
            "main.cfg": b"""# #!ifdef NOT
/* #!ifdef NOT */
server_header="Server: #!ifdef NOT"
#!ifdef NOT
# this comment ends the branch: #!endif
tcp_syncnt=5
## #!else
#!ifdef NOT
#!ifdef ALSO
#!else
tcp_syncnt=6
#!endif
"never closed, and never read
#!endif
"""
        },
        {"tcp_syncnt": 5},
    ),
    "directives of later versions are comments": (
        {
            "main.cfg": b"#!define A 5\n#!undef A\n#!defexp B 2+3\n#!ifdef B\ntcp_syncnt=1\n#!else\ntcp_syncnt=A\n#!endif"
            b" \n#!SER\n#!ALL\n#!MAXCOMPAT\n#!nothing\n"
        },
        {"tcp_syncnt": 5},
    ),
    "listeners in one line, with names and blanks": (
        {
            "main.cfg": b'#!define HERE 127.0.0.1\n#!substdefs "/EDGE/edge/"\n'
            b'listen=tcp:HERE:0x1390 udp : HERE : 5009\n listen="127.0.0.1"\n'
            b"socket_workers=3 listen=tcp:127.0.0.1:5010 advertise 192.0.2.1:5060 name EDGE virtual\n"
            b"alias=a.example b.example:5060 tcp:c.example:*\ntcp_children=2\n"
        },
        {"tcp_children": 2},
    ),
    "groups, flags and descriptions": (
        {
            "main.cfg": b'mine.max_connections = 5 desc "not the core\'s" my.text="a" "b" descr "x"\n'
            b"my[3].text='c'\ndefault.x=0x10\nflags ONE, TWO:7, 'three'\navpflags a,b\ntcp_max_connections=625"
        },
        {"tcp_max_connections": 625},
    ),
    "module lists, glued texts and signs": (
        {
            "main.cfg": b'loadmodule \'tm.so\'\nloadmodulex "t" "mx"\nloadmodule "pv"\n'
            b'modparam("tm|tmx", "fr_timer", - 1)\n'.replace(b"tm|tmx", b"tm")
            + b'modparam("^t[m]$" , "fr_inv" "_timer", 0x100);;\ntcp_max_connections=626\n'
        },
        {"tcp_max_connections": 626},
    ),
    "native routes of a KEMI set-up": (
        {"main.cfg": b'cfgengine "native"\nloadmodule "kex"\ntcp_max_connections=627\ncfgengine="native"\n'},
        {"tcp_max_connections": 627},
    ),
    "texts with every escape": (
        {
            "main.cfg": b'server_header="Server: \\"a\\" \\\\ \\x41\\101 \\\nb"\n  " c\\t"\nuser_agent_header=\'User-Agent: \\\'\n'
            b"tcp_max_connections=628"
        },
        {"tcp_max_connections": 628},
    ),
}

#: name -> (files, line of the file that stops the server; 0: it names none)
REFUSED: dict[str, tuple[dict[str, bytes], int]] = {
    "a size with a suffix": ({"main.cfg": b"tcp_syncnt=1\ntcp_wq_max=4k"}, 2),
    "a text for a number": ({"main.cfg": b'\n\ntcp_max_connections="600"'}, 3),
    "a number without quotes for a text": ({"main.cfg": b"server_header=5"}, 1),
    "a negative number where none belongs": ({"main.cfg": b"tcp_max_connections=-5"}, 1),
    "yes in capitals": ({"main.cfg": b"tcp_keepalive=YES"}, 1),
    "a zero too many": ({"main.cfg": b"tcp_syncnt=09"}, 1),
    "a parameter of a later version": ({"main.cfg": b"tcp_syncnt=1\n  tcp_listen_backlog=4096"}, 2),
    "a misspelt parameter": ({"main.cfg": b"tcp_max_connection=600"}, 1),
    "a variable named like a core parameter": ({"main.cfg": b"mine.tcp_syncnt = 5"}, 1),
    "a brace too many": ({"main.cfg": b"route { exit; }\n}\ntcp_syncnt=1"}, 2),
    "a brace too few": ({"main.cfg": b"\nroute[A] { if (1) { exit; }\n\ntcp_syncnt=1"}, 2),
    "a text that never ends": ({"main.cfg": b'tcp_syncnt=1\nserver_header="x\ntcp_syncnt=2\n'}, 2),
    "a comment that never ends, and nothing before it": ({"main.cfg": b"\n/* /* */\ntcp_syncnt=1"}, 0),
    "nothing but comments": ({"main.cfg": b"# tcp_syncnt=1\n"}, 0),
    "an include that isn't there": ({"main.cfg": b'tcp_syncnt=1\ninclude_file "none.cfg"\n'}, 2),
    "an include in the wrong quotes": ({"main.cfg": b"include_file 'a.cfg'\n", "a.cfg": b"tcp_syncnt=1"}, 1),
    "an include that includes itself": ({"main.cfg": b'tcp_syncnt=1\ninclude_file "main.cfg"\n'}, 0),
    "a name defined twice": ({"main.cfg": b"#!define A 1\n#!define A 2\ntcp_syncnt=A"}, 2),
    "a name with a dash": ({"main.cfg": b"#!define A-B 1\ntcp_syncnt=1"}, 1),
    "an endif too many": ({"main.cfg": b"tcp_syncnt=1\n#!endif\ntcp_syncnt=2"}, 2),
    "an endif at the very end, without a line end": (
        {"main.cfg": b"#!ifdef A\n#!endif\n#!ifdef A\n#!endif"},
        0,
    ),
    "an ifexp before 5.7": ({"main.cfg": b"#!ifexp 1 == 1\ntcp_syncnt=1\n#!endif\n"}, 3),
    "an environment variable that isn't there": ({"main.cfg": b"tcp_syncnt=1\n#!defenv KAMTCP_NO\n"}, 2),
    "a substitution that is none": ({"main.cfg": b'tcp_syncnt=1\n#!subst "a"\n'}, 2),
    "a socket block before 5.7": ({"main.cfg": b"socket = {\n bind = udp:127.0.0.1:5060;\n}\n"}, 1),
    "a listener of a protocol that has none": ({"main.cfg": b"\nlisten=ws:127.0.0.1:80"}, 2),
    "a listener's name before its address": (
        {"main.cfg": b'listen=udp:127.0.0.1:5060 name "a" advertise 192.0.2.1:5\n'},
        1,
    ),
    "a module in parentheses": ({"main.cfg": b'tcp_syncnt=1\nloadmodule("pv.so")'}, 2),
    "parameters of a module that isn't loaded": ({"main.cfg": b'modparam("tm|sl", "fr_timer", 5)\n'}, 1),
    "a module parameter without a value": (
        {"main.cfg": b'loadmodule "tm"\nmodparam("tm", "fr_timer",)\n'},
        2,
    ),
    "shared memory after it was used": (
        {"main.cfg": b'loadmodule "tm"\nmodparam("tm", "fr_timer", 5)\nshm_mem_size=80\n'},
        3,
    ),
    "the same route twice": ({"main.cfg": b"route[A] { exit; }\nroute['A'] { exit; }\n"}, 2),
    "a stray word in an included file": (
        {"main.cfg": b'tcp_syncnt=1\ninclude_file "a.cfg"\n', "a.cfg": b"\n\n  stray\ntcp_syncnt=2"},
        3,
    ),
}
