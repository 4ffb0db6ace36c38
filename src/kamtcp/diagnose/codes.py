"""Every finding code, registered once. A code is never reused; its name says the defect.

FDS descriptors · MEM memory · ACC accepting · TLS · TIM timers · CFG configuration · SYS kernel and network
SRV the server as a whole · GEN the load itself
From 010 to 019: ceilings below the target. SYS from 020: lines of files. From 050: symptoms.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Severity(Enum):
    """How bad, worst first."""

    FATAL = "fatal"  # the server stops serving, doesn't start, or crashes
    HIGH = "high"  # it will hurt under the load it is meant for
    MEDIUM = "medium"
    INFO = "info"


RANK = {severity: rank for rank, severity in enumerate(Severity)}


class Code(Struct, frozen=True):
    """One kind of finding.

    Args:
        meaning: one sentence: what is wrong and what it does.
        source: where the rule was read or measured.
    """

    code: str
    name: str
    severity: Severity
    meaning: str
    source: str

    @property
    def is_symptom(self) -> bool:
        """Whether it is told from two looks at a host, not from one."""
        return int(self.code[3:]) >= _FIRST_SYMPTOM


_FIRST_SYMPTOM = 50
_F, _H, _M, _I = Severity.FATAL, Severity.HIGH, Severity.MEDIUM, Severity.INFO

ALL: tuple[Code, ...] = (
    Code("FDS001", "descriptors-below-max-connections", _F, "tcp main may open fewer files than tcp_max_connections promises: at the limit accept() spins and floods the log.", "Kamailio src/core/tcp_main.c handle_new_connect(); measured on 5.6.3"),
    Code("FDS002", "worker-descriptors-below-max-connections", _H, "A worker may open fewer files than tcp main: in a busy phase it can't take connections over and they are lost.", "Kamailio src/core/tcp_read.c handle_io()"),
    Code("FDS003", "open-files-limit-above-hard", _F, "open_files_limit is above the hard limit of a service without privilege: its next start is aborted.", "Kamailio src/main.c increase_open_fds()"),
    Code("FDS004", "descriptor-number-beyond-table", _F, "A descriptor number of tcp main is near or beyond its table: memory behind the table is overwritten, tcp main spins.", "Kamailio src/core/io_wait.h io_watch_add(); github.com/kamailio/kamailio/issues/2796"),
    Code("FDS010", "tcp-main-descriptors-below-target", _H, "RLIMIT_NOFILE of tcp main is met below the target.", "see ceiling tcp-main-descriptors"),
    Code("FDS011", "descriptor-table-below-target", _H, "tcp main's descriptor table is full below the target.", "see ceiling descriptor-table"),
    Code("FDS012", "worker-descriptors-below-target", _H, "The workers run out of descriptors in the worst second of the target.", "see ceiling worker-descriptors"),
    Code("FDS013", "nr-open-below-target", _H, "fs.nr_open keeps every RLIMIT_NOFILE below the target.", "see ceiling nr-open"),
    Code("FDS014", "file-max-below-target", _H, "fs.file-max is met below the target.", "see ceiling file-max"),
    Code("FDS015", "epoll-watches-below-target", _H, "fs.epoll.max_user_watches is met below the target.", "see ceiling epoll-watches"),
    Code("MEM001", "private-memory-too-small", _F, "The next start fails: -M doesn't hold the descriptor tables for tcp_max_connections.", "Kamailio src/core/io_wait.c init_io_wait()"),
    Code("MEM010", "shared-memory-below-target", _H, "Shared memory is used up below the target.", "see ceiling shared-memory"),
    Code("MEM011", "private-memory-below-target", _H, "No tcp_max_connections as high as the target starts with this -M.", "see ceiling private-memory"),
    Code("MEM012", "kernel-memory-below-target", _H, "The machine has no memory for the target's sockets.", "see ceiling kernel-memory"),
    Code("MEM013", "tcp-mem-below-target", _M, "Queued data of the target passes tcp_mem's pressure mark.", "see ceiling tcp-mem"),
    Code("MEM014", "cgroup-memory-below-target", _H, "The cgroup's memory limit is met below the target.", "see ceiling cgroup-memory"),
    Code("CFG010", "tcp-max-connections-below-target", _H, "tcp_max_connections is below the target.", "see ceiling tcp-max-connections"),
    Code("CFG011", "per-source-limit-below-target", _H, "tcp_accept_iplimit is below the connections that one address brings.", "see ceiling per-source-limit"),
    Code("CFG001", "per-source-limit-zero-rejects-all", _F, "tcp_accept_iplimit=0 rejects every connection on 5.7.3 to 5.7.7; it means off from 5.8.0 only.", "Kamailio src/core/tcp_main.c handle_new_connect(), tag 5.7.3"),
    Code("CFG002", "per-source-scan-on-crowded-host", _H, "The per-source limit walks all connections under the global lock on every accept.", "github.com/kamailio/kamailio/issues/3759; measured on 6.1.4"),
    Code("CFG003", "proxy-header-wait-too-long", _H, "tcp_accept_haproxy makes tcp main wait for each silent client, one after the other.", "Kamailio src/core/tcp_main.c tcpconn_read_haproxy()"),
    Code("CFG004", "threads-uncounted-in-table", _H, "tcp_main_threads=1 uses descriptors that the table's size leaves out: the last connections get no answer.", "Kamailio src/core/tcp_mtops.c; measured on 6.1.4"),
    Code("CFG005", "message-timeout-zero-closes-all", _H, "tcp_msg_data_timeout=0 doesn't switch it off: silent connections are closed at the next tick.", "Kamailio src/core/tcp_main.c tcp_timer_check_connections()"),
    Code("CFG006", "poll-method-select", _H, "select can't watch descriptor numbers above 1023.", "select(2); Kamailio src/core/io_wait.c"),
    Code("TLS001", "openssl-3-unsafe", _F, "TLS with OpenSSL 3 on a Kamailio without tls_threads_mode: parallel handshakes abort the server.", "github.com/kamailio/kamailio/issues/3791, 3635; measured on 5.6.3"),
    Code("TLS002", "little-memory-above-guard", _H, "Free shared memory is less than twice low_mem_threshold1: soon no new TLS connection is taken.", "Kamailio src/modules/tls/tls_server.c; github.com/kamailio/kamailio/issues/4777"),
    Code("TLS010", "tls-max-connections-below-target", _H, "tls_max_connections is below the target.", "see ceiling tls-max-connections"),
    Code("TLS011", "tls-memory-guard-below-target", _H, "TLS's low-memory guard refuses new connections below the target.", "see ceiling tls-memory-guard"),
    Code("TLS012", "tls-handshakes-below-target", _M, "The cores can't make as many TLS handshakes a second as the target brings.", "see ceiling tls-handshakes"),
    Code("ACC010", "accept-queue-below-target", _M, "The accept queue is shorter than what the target's worst second brings.", "see ceiling accept-queue"),
    Code("ACC011", "hand-off-below-target", _M, "The worker sockets hold fewer connections than the target's worst second brings: up to 5 s of silence, then losses.", "see ceiling hand-off"),
    Code("ACC012", "syn-queue-below-target", _I, "The SYN queue is shorter than what the target brings during one round trip.", "see ceiling syn-queue"),
    Code("ACC013", "accept-rate-below-target", _M, "One core of tcp main can't accept as many connections a second as the target brings.", "see ceiling accept-rate"),
    Code("ACC014", "per-source-scan-below-target", _H, "The per-source scan makes accepting slower than the target.", "see ceiling per-source-scan"),
    Code("SYS001", "tcp-tw-recycle-set", _H, "tcp_tw_recycle is set: gone since Linux 4.12, and before that it dropped clients behind NAT.", "Linux commit 4396e46187ca"),
    Code("SYS010", "conntrack-table-below-target", _H, "The conntrack table is full below the target.", "see ceiling conntrack-table"),
    Code("SYS011", "orphans-below-target", _I, "A mass close of the target's connections passes tcp_max_orphans.", "see ceiling orphans"),
    Code("SYS012", "ephemeral-ports-below-target", _H, "Local ports towards one destination run out below the target.", "see ceiling ephemeral-ports"),
    Code("SYS013", "ephemeral-ports-half-below-target", _M, "More than half of the local ports towards one destination: each connect() becomes slow.", "see ceiling ephemeral-ports-half"),
    Code("SYS014", "hash-chains-below-target", _I, "The established hash has more than four sockets a bucket at the target.", "see ceiling hash-chains"),
    Code("SYS015", "time-wait-buckets-below-target", _I, "More closes a second than tcp_max_tw_buckets remembers.", "see ceiling time-wait-buckets"),
    Code("SYS016", "conntrack-churn-below-target", _H, "Entries of closed flows fill the conntrack table at the target's rate.", "see ceiling conntrack-churn"),
    Code("SYS017", "packet-backlog-below-target", _M, "netdev_max_backlog overflows at the target's rate, on loopback, veth or RPS.", "see ceiling packet-backlog"),
    Code("SYS018", "ephemeral-ports-rate-below-target", _H, "Ports in TIME-WAIT leave too few for the target's outbound rate.", "see ceiling ephemeral-ports-rate"),
    Code("FDS005", "unit-without-descriptor-limit", _M, "The unit sets no LimitNOFILE: the service gets the manager's default, soft 1,024.", "man systemd.exec(5), systemd-system.conf(5) DefaultLimitNOFILE="),
    Code("FDS006", "soft-limit-below-hard", _I, "The soft limit on open files is below the hard one, and Kamailio doesn't raise it by itself.", "man getrlimit(2); Kamailio src/main.c increase_open_fds()"),
    Code("FDS007", "limits-conf-not-for-services", _I, "limits.conf sets open files for the user that Kamailio runs as, and reaches login sessions only.", "man pam_limits(8), systemd.exec(5)"),
    Code("FDS008", "file-max-lowered", _M, "fs.file-max is set below what the kernel takes by itself.", "Linux fs/file_table.c files_maxfiles_init(); measured: ENFILE for all but root"),
    Code("MEM002", "tcp-mem-beyond-memory", _H, "tcp_mem is larger than the machine's memory: it was meant in bytes, its unit is pages, and TCP is never held back.", "Linux net/core/sock.c __sk_mem_raise_allocated()"),
    Code("MEM003", "tcp-mem-disordered", _H, "The three numbers of tcp_mem are not in order.", "Linux net/core/sock.c __sk_mem_raise_allocated(): the kernel checks no order"),
    Code("MEM004", "tcp-buffers-disordered", _H, "The three numbers of tcp_rmem or tcp_wmem are not in order.", "Linux net/ipv4/sysctl_net_ipv4.c: accepted as written, measured"),
    Code("MEM005", "default-buffer-huge", _M, "rmem_default or wmem_default is megabytes: it sizes UDP and unix sockets, never TCP.", "Linux net/core/sock.c sock_init_data()"),
    Code("MEM006", "buffer-cap-not-for-tcp", _I, "rmem_max or wmem_max was raised: TCP's own tuning never looks at it.", "Linux net/ipv4/tcp_input.c tcp_rcv_space_adjust()"),
    Code("MEM007", "tcp-buffer-cap-large", _I, "tcp_rmem or tcp_wmem lets one slow peer hold very much kernel memory.", "Linux net/ipv4/tcp_input.c tcp_rcv_space_adjust()"),
    Code("MEM030", "shared-memory-below-start", _F, "-m holds less than the core and the modules take before the first connection: the start fails.", "Kamailio src/core/mem/shm.c; measured on 5.6.3"),
    Code("ACC001", "somaxconn-below-backlog", _M, "net.core.somaxconn cuts the backlog that Kamailio asks for.", "Linux net/socket.c __sys_listen()"),
    Code("ACC002", "somaxconn-raised-alone", _I, "net.core.somaxconn was raised above the backlog that Kamailio asks for: the smaller one counts.", "Linux net/socket.c __sys_listen(); Kamailio src/core/tcp_main.c TCP_LISTEN_BACKLOG"),
    Code("ACC003", "listener-with-old-backlog", _M, "A listener was opened before somaxconn or the backlog was raised, and keeps its short queue.", "Linux net/ipv4/af_inet.c inet_listen(); measured"),
    Code("ACC004", "abort-on-overflow-on", _M, "tcp_abort_on_overflow resets clients that would be served a little later.", "Linux net/ipv4/tcp_minisocks.c tcp_check_req(); measured"),
    Code("TIM001", "keepalive-after-two-hours", _M, "TCP keepalive is on with the kernel's two hours before the first probe: dead peers stay counted.", "Linux net/ipv4/tcp_timer.c tcp_keepalive_timer(); Kamailio src/core/tcp_main.c init_sock_keepalive()"),
    Code("TIM002", "keepalive-sysctl-without-effect", _I, "tcp_keepalive_time was set, but Kamailio's listeners have a time of their own.", "Linux include/net/tcp.h keepalive_time_when()"),
    Code("TIM003", "keepalive-change-not-on-listeners", _I, "Keepalive parameters were changed at run time; inbound connections keep what the listeners got at start.", "Kamailio src/core/tcp_main.c tcp_init(); measured on 5.6.3"),
    Code("TIM004", "websocket-timers-every-second", _M, "The websocket module walks through very many connections every second.", "Kamailio src/modules/websocket/ws_conn.c, ws_mod.c"),
    Code("TIM005", "middle-box-forgets-first", _M, "A load balancer or NAT gateway forgets idle connections before anything keeps them alive: phones are registered but unreachable.", "RFC 5382 section 5 REQ-5; Kamailio src/core/tcp_main.c tcp_init()"),
    Code("TIM006", "lifetime-below-registration", _M, "Kamailio closes idle connections before phones register again: one that doesn't reconnect can't be reached.", "Kamailio src/core/tcp_main.c tcpconn_main_timeout(); src/modules/tls/tls_cfg.c connection_timeout; measured on 5.6.3"),
    Code("TIM007", "dead-peers-not-probed", _M, "Listeners have no keepalive, and the lifetime is hours: dead peers stay counted.", "Linux net/ipv4/tcp_timer.c tcp_keepalive_timer(); measured on 5.6.3"),
    Code("TIM009", "conntrack-forgets-first", _M, "This host's firewall forgets idle connections before anything keeps them alive, and takes none up again.", "Linux net/netfilter/nf_conntrack_proto_tcp.c tcp_new()"),
    Code("CFG020", "receive-limit-below-read-buffer", _M, "msg_recv_max_size is smaller than tcp_rd_buf_size.", "Kamailio src/core/tcp_read.c"),
    Code("CFG021", "mlock-without-privilege", _M, "mlock_pages is on, and Kamailio may not lock so much memory.", "Kamailio src/main.c mem_lock_pages(); man mlock(2)"),
    Code("SYS002", "tcp-timestamps-off", _M, "tcp_timestamps=0 takes PAWS, tcp_tw_reuse and the options of SYN cookies away.", "Linux net/ipv4/syncookies.c cookie_timestamp_decode(); measured"),
    Code("SYS003", "syncookies-off", _H, "tcp_syncookies=0: a full SYN queue drops connections instead of answering them.", "Linux net/ipv4/tcp_input.c tcp_syn_flood_action(); measured"),
    Code("SYS004", "tw-reuse-without-outbound", _I, "tcp_tw_reuse=1 helps outbound connections only, and there are none.", "Linux net/ipv4/tcp_ipv4.c tcp_twsk_unique(); measured"),
    Code("SYS005", "fin-timeout-not-time-wait", _I, "tcp_fin_timeout was lowered: it doesn't shorten TIME-WAIT.", "Linux include/net/tcp.h TCP_TIMEWAIT_LEN; measured"),
    Code("SYS006", "time-wait-buckets-few", _M, "tcp_max_tw_buckets was lowered: sockets close without TIME-WAIT.", "Linux net/ipv4/inet_timewait_sock.c inet_twsk_alloc(); measured"),
    Code("SYS007", "syn-backlog-without-effect", _I, "tcp_max_syn_backlog has no effect while SYN cookies are on.", "Linux commit ef547f2ac16b; net/ipv4/tcp_input.c tcp_conn_request(); measured"),
    Code("SYS008", "port-range-holds-listener", _H, "Outbound connections may take a port that Kamailio listens on: its next start fails.", "Linux net/ipv4/inet_hashtables.c __inet_hash_connect(); measured"),
    Code("SYS009", "port-range-from-bottom", _M, "ip_local_port_range was widened down to the ports of services.", "Linux net/ipv4/inet_hashtables.c __inet_hash_connect(); measured"),
    Code("SYS020", "setting-gone", _I, "A file sets what this kernel no longer has.", "Linux Documentation/networking/ip-sysctl.rst; trees 5.10 to 7.3"),
    Code("SYS021", "setting-dead", _I, "A file sets what nothing reads any more.", "Linux trees 5.10 to 7.3: no reader left"),
    Code("SYS022", "setting-unknown", _I, "A file sets what this kernel doesn't have.", "man sysctl.d(5)"),
    Code("SYS023", "system-v-limits-irrelevant", _I, "A file sets limits of System V shared memory, which Kamailio doesn't use.", "Kamailio src/core/mem/shm_mem.c shm_getmem(): mmap(MAP_ANON | MAP_SHARED)"),
    Code("SYS024", "conntrack-set-while-idle", _I, "A file sizes the conntrack table, and nothing is tracked.", "Linux net/netfilter/nf_conntrack_proto.c nf_ct_netns_get(); measured"),
    Code("SYS025", "conntrack-hash-small", _M, "nf_conntrack_max is many times the number of hash buckets: each packet walks long chains.", "Linux net/netfilter/nf_conntrack_core.c nf_conntrack_hash_resize()"),
    Code("SYS026", "conntrack-module-line-without-effect", _I, "A line of modprobe.d on connection tracking is not what is in force.", "man modprobe.d(5)"),
    Code("SYS027", "packet-backlog-not-for-nic", _I, "netdev_max_backlog was raised: packets of network cards don't pass that queue.", "Linux net/core/dev.c enqueue_to_backlog()"),
    Code("SYS030", "live-value-not-kept", _I, "A value was set by hand, and no file sets it at the next boot.", "man sysctl.d(5)"),
    Code("SYS031", "file-value-not-live", _M, "A file sets a value that is not in force: the next boot changes it.", "man sysctl.d(5)"),
    Code("SYS032", "line-overridden", _M, "A line of a file is undone by a later one.", "systemd src/sysctl/sysctl.c; procps src/sysctl.c"),
    Code("SYS033", "sysctl-conf-not-read", _M, "/etc/sysctl.conf has lines that nothing reads at boot.", "man sysctl.d(5), NOTES of systemd 207; Debian 13 release notes"),
    Code("SYS034", "namespace-not-tuned", _M, "Kamailio's network namespace doesn't have what the machine's files set: it started from the kernel's own values.", "Linux net/ipv4/tcp_ipv4.c tcp_sk_init(); measured"),
    Code("SYS035", "line-not-understood", _I, "A line of a sysctl file is no assignment.", "man sysctl.d(5)"),
    Code("SYS036", "line-harmless", _I, "Lines that change little or nothing for connections, each with what it does.", "Linux Documentation/networking/ip-sysctl.rst"),
    # contradictions, run-time changes, versions, units
    Code("FDS009", "nr-open-below-unit-limit", _M, "LimitNOFILE of the unit is above fs.nr_open: the service gets less than its unit says.", "man systemd.exec(5); systemd src/basic/rlimit-util.c setrlimit_closest(); Linux kernel/sys.c do_prlimit()"),
    Code("FDS020", "unit-limit-overridden", _I, "LimitNOFILE is set by several files of the unit: the last one counts.", "man systemd.unit(5)"),
    Code("FDS021", "unit-limit-not-live", _M, "The unit's LimitNOFILE is not what the running Kamailio has.", "man systemd.exec(5); man proc_pid_limits(5)"),
    Code("FDS022", "open-files-limit-without-effect", _I, "open_files_limit is below the limit that is there already: Kamailio only raises it.", "Kamailio src/core/daemonize.c increase_open_fds()"),
    Code("FDS023", "default-limit-not-for-unit", _I, "DefaultLimitNOFILE was set, and Kamailio's unit has a limit of its own.", "man systemd-system.conf(5)"),
    Code("FDS024", "descriptors-in-flight-above-limit", _M, "Several Kamailios of one user may have more descriptors on their way to workers than it is allowed: connections are closed.", "Linux net/unix/garbage.c too_many_unix_fds(); measured; Kamailio src/core/tcp_main.c send2child()"),
    Code("MEM008", "shared-memory-below-max-connections", _M, "Shared memory doesn't hold tcp_max_connections: the rest is accepted and closed.", "see ceiling shared-memory"),
    Code("MEM009", "read-buffer-large", _M, "tcp_rd_buf_size is allocated whole for every connection, and is very large.", "Kamailio src/core/tcp_main.c tcpconn_new(); github.com/kamailio/kamailio/issues/2942"),
    Code("ACC005", "listener-option-changed-at-run-time", _I, "Options of sockets were changed at run time; inbound connections keep what the listeners got at start.", "Kamailio src/core/tcp_main.c tcp_init(), init_sock_opt()"),
    Code("ACC006", "worker-sockets-with-old-buffer", _I, "wmem_default was raised after Kamailio started: the sockets to its workers keep what they were made with.", "Linux net/core/sock.c sock_init_data()"),
    Code("ACC007", "accept-deferred", _I, "tcp_defer_accept leaves silent clients half-open, in the SYN queue.", "man tcp(7) TCP_DEFER_ACCEPT; Linux net/ipv4/tcp_minisocks.c tcp_check_req(); measured"),
    Code("TLS003", "target-without-tls-listener", _H, "The target asks TLS connections of a Kamailio that speaks no TLS.", "Kamailio doc/cookbooks core: enable_tls"),
    Code("TIM020", "websocket-keepalive-incomplete", _M, "More than one keepalive process of websocket: part of the connections is never asked.", "Kamailio src/modules/websocket/ws_conn.c wsconn_get_list_ids()"),
    Code("CFG022", "run-time-change-not-kept", _I, "Parameters were changed at run time; the next start takes the file's.", "Kamailio cfg_rpc module"),
    Code("CFG023", "parameter-overruled-by-command-line", _M, "A line of kamailio.cfg has no effect: the command line says otherwise.", "Kamailio src/main.c; measured on 5.6.3"),
    Code("CFG024", "raise-clamped", _M, "A limit was raised at run time above that of the start, which is answered with success and not done.", "Kamailio src/core/tcp_options.c fix_max_conns(); measured on 5.6.3"),
    Code("CFG025", "configuration-newer-than-server", _M, "kamailio.cfg was changed after Kamailio started: the next start brings other values.", "Kamailio src/main.c: the file is read at start"),
    Code("CFG026", "accept-unique-leaks-count", _M, "tcp_accept_unique leaves refused duplicates in the count of open connections.", "Kamailio src/core/tcp_main.c handle_new_connect(), tags 5.6.3 to 6.1.4"),
    Code("CFG027", "tls-limit-above-tcp-limit", _I, "tls_max_connections is above tcp_max_connections, which is met first.", "Kamailio src/core/tcp_main.c handle_new_connect()"),
    Code("CFG028", "websocket-without-no-content-length", _H, "The websocket module is loaded and tcp_accept_no_cl is off: handshakes are refused.", "Kamailio src/core/tcp_read.c tcp_read_req()"),
    Code("CFG029", "accept-protocols-without-websocket", _H, "tcp_accept_protocols leaves ws out, and the websocket module is loaded.", "Kamailio src/core/tcp_read.c tcp_read_req(), 5.8.8, 6.0.7, 6.1.1 and later"),
    Code("CFG030", "target-without-websocket-module", _H, "The target asks WebSockets of a Kamailio without the websocket module.", "Kamailio src/modules/websocket"),
    Code("CFG031", "keepalive-switched-on-by-its-times", _I, "tcp_keepalive=no has no effect beside a time of keepalive.", "Kamailio src/core/tcp_options.c tcp_options_check()"),
    Code("CFG040", "worker-count-drifts", _I, "A known fault: after full queues connections go to the wrong workers.", "github.com/kamailio/kamailio/issues/4437; fixed in tags 5.8.7, 6.0.5, 6.1.0"),
    Code("CFG041", "websocket-memory-leaks", _M, "A known fault: WebSockets that die hard are never given back.", "github.com/kamailio/kamailio/issues/3236"),
    Code("CFG042", "send-timeout-not-inbound", _I, "A known fault: what is sent to a vanished phone is repeated for a quarter of an hour.", "github.com/kamailio/kamailio/issues/3443, pull request 3528"),
    Code("CFG043", "message-timeout-floods-log", _I, "A known fault: each silent connection is logged as CRITICAL.", "github.com/kamailio/kamailio/issues/3995"),
    Code("CFG044", "websocket-look-up-fails", _H, "A known fault: requests to WSS clients fail.", "github.com/kamailio/kamailio/issues/3969; tags 5.8.2 to 5.8.4"),
    Code("CFG045", "websocket-without-keepalive", _M, "A known fault: without keepalive nothing gives dead WebSockets back.", "github.com/kamailio/kamailio/issues/1892; ended by tag 5.6.2, src/modules/websocket/ws_conn.c ws_timer()"),
    Code("SYS037", "process-limit-low", _M, "kernel.threads-max or pid_max leaves room for few processes.", "Linux kernel/fork.c copy_process(); threads-max takes any number, measured"),
    Code("SYS038", "value-refused", _M, "A file sets a value that the kernel refuses.", "Linux kernel/sysctl.c proc_dointvec_minmax(); ranges measured"),
    Code("SYS039", "port-range-without-outbound", _I, "ip_local_port_range was set, and nothing connects out.", "Linux net/ipv4/inet_hashtables.c __inet_hash_connect()"),
    Code("SYS040", "source-address-shares-ports", _I, "tcp_source_ipv4 makes all destinations share one range of ports.", "Kamailio src/core/tcp_main.c tcpconn_connect(): bind() without IP_BIND_ADDRESS_NO_PORT; measured"),
    Code("SYS041", "overcommit-strict", _M, "vm.overcommit_memory=2: the whole of -m and -M must be free at start.", "Linux Documentation/mm/overcommit-accounting.rst"),
    Code("SYS042", "tcp-option-off", _M, "Selective acknowledgement or window scaling is switched off.", "Linux Documentation/networking/ip-sysctl.rst"),
    Code("SYS043", "retries-few", _M, "tcp_retries2 gives connections up while a phone is only out of reach.", "RFC 1122 4.2.3.5; Linux net/ipv4/tcp_timer.c"),
    Code("SYS044", "conntrack-forgets-idle", _M, "Connection tracking forgets idle connections before Kamailio closes them.", "Linux net/netfilter/nf_conntrack_proto_tcp.c"),
    Code("SYS045", "orphans-few", _I, "tcp_max_orphans was lowered: closing connections are reset.", "Linux net/ipv4/tcp.c tcp_too_many_orphans()"),
    # symptoms: told from two looks at a host, and from the clients of a load
    Code("FDS050", "tcp-main-out-of-descriptors", _F, "tcp main has all files open that it may: accept() fails, spins and floods the log.", "Kamailio src/core/tcp_main.c handle_new_connect(); measured on 5.6.3"),
    Code("FDS051", "worker-out-of-descriptors", _F, "A worker has all files open that it may: connections that it is handed are lost.", "Kamailio src/core/tcp_read.c handle_io()"),
    Code("FDS052", "machine-out-of-files", _F, "fs.file-max is met: open() and accept() fail in every unprivileged process.", "Linux fs/file_table.c alloc_empty_file()"),
    Code("FDS053", "descriptor-beyond-table", _F, "A descriptor number lies beyond tcp main's table: memory is overwritten; only a restart helps.", "Kamailio src/core/io_wait.h io_watch_add(); github.com/kamailio/kamailio/issues/2796"),
    Code("CFG050", "tcp-max-connections-met", _F, "tcp_max_connections is met: new connections are accepted and closed at once.", "Kamailio src/core/tcp_main.c handle_new_connect()"),
    Code("CFG051", "per-source-limit-met", _H, "An address has as many connections as tcp_accept_iplimit allows; nothing counts what is refused.", "Kamailio src/core/tcp_main.c handle_new_connect()"),
    Code("TLS050", "tls-max-connections-met", _F, "tls_max_connections is met: new TLS connections are accepted and closed at once.", "Kamailio src/core/tcp_main.c handle_new_connect()"),
    Code("TLS051", "tls-memory-guard-met", _F, "Free shared memory is below TLS's guard: new TLS connections are refused.", "Kamailio src/modules/tls/tls_server.c tls_accept()"),
    Code("MEM050", "shared-memory-out", _F, "Shared memory is used up: new connections are accepted and closed; nothing counts them.", "Kamailio src/core/tcp_main.c tcpconn_new()"),
    Code("MEM051", "shared-memory-in-pieces", _F, "Allocations fail although much shared memory is free: it is in pieces that are too small.", "Kamailio src/core/mem/q_malloc.c"),
    Code("MEM052", "private-memory-out", _F, "A process is out of private memory (-M).", "Kamailio src/core/mem/pkg.c"),
    Code("MEM053", "tcp-mem-pressure", _H, "TCP's memory is above tcp_mem's pressure mark: buffers shrink, and beyond the maximum sockets are reset.", "Linux net/ipv4/tcp.c tcp_enter_memory_pressure()"),
    Code("MEM054", "cgroup-memory-met", _F, "The cgroup's memory limit is met: sockets are refused or a process is killed.", "Linux mm/memcontrol.c"),
    Code("ACC050", "accept-queue-full-nobody-accepts", _F, "The accept queue is full and tcp main takes nothing from it.", "Linux net/ipv4/tcp_ipv4.c tcp_v4_syn_recv_sock()"),
    Code("ACC051", "accept-queue-full-burst", _H, "More connections came at once than the accept queue holds: the rest come again after a second and more.", "Linux net/ipv4/tcp_input.c tcp_conn_request()"),
    Code("ACC052", "accept-queue-full-tcp-main-busy", _F, "tcp main uses a whole core and still accepts more slowly than connections come.", "Kamailio src/core/tcp_main.c; Linux net/ipv4/tcp_input.c tcp_conn_request()"),
    Code("ACC053", "syn-queue-full", _M, "Half-open connections of real clients fill the SYN queue.", "Linux net/ipv4/tcp_input.c tcp_conn_request()"),
    Code("ACC054", "syn-flood", _H, "Half-open connections fill the SYN queue, and hardly any becomes a connection.", "Linux net/ipv4/tcp_input.c tcp_syn_flood_action()"),
    Code("ACC055", "hand-off-full", _H, "More connections became readable than the sockets to the workers hold, or the workers hang: seconds of silence, then losses.", "Kamailio src/core/tcp_main.c send2child(), send_fd_queue_run()"),
    Code("SYS050", "time-wait-overflow", _I, "tcp_max_tw_buckets is met: connections are closed without TIME-WAIT.", "Linux net/ipv4/tcp_minisocks.c tcp_time_wait()"),
    Code("SYS051", "orphans-reset", _M, "tcp_max_orphans is met: closing connections are reset before their peer has everything.", "Linux net/ipv4/tcp.c tcp_check_oom()"),
    Code("SYS052", "ports-to-one-destination-out", _F, "All local ports towards one destination are in use: connect() fails; nothing counts it.", "Linux net/ipv4/inet_hashtables.c __inet_hash_connect()"),
    Code("SYS053", "conntrack-table-full", _F, "The conntrack table is full: packets of new connections are dropped.", "Linux net/netfilter/nf_conntrack_core.c __nf_conntrack_alloc()"),
    Code("SYS054", "packet-backlog-overflow", _H, "A CPU's backlog of packets was full: packets of loopback, veth or RPS were dropped.", "Linux net/core/dev.c enqueue_to_backlog()"),
    Code("SRV050", "kamailio-restarted", _F, "Kamailio was restarted: every connection was dropped.", "two looks at its main process"),
    Code("SRV051", "kamailio-gone", _F, "Kamailio is not running any more.", "two looks at its main process"),
    Code("GEN050", "load-out-of-ports", _I, "The load ran out of source ports: its own limit, not the server's.", "man ip(7)"),
    Code("GEN051", "load-out-of-descriptors", _I, "The load ran out of descriptors: its own limit, not the server's.", "man getrlimit(2)"),
    Code("GEN052", "load-late", _I, "The load was late: what it says of rates and times is not the server's doing alone.", "kamtcp.loadgen"),
)  # fmt: skip

BY_CODE = {each.code: each for each in ALL}
BY_NAME = {each.name: each for each in ALL}


def below_target(ceiling: str) -> Code:
    """The code of "this ceiling lies below the target"."""
    return BY_NAME[f"{ceiling}-below-target"]
