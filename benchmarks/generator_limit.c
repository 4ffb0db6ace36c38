/* The least that a load generator can pay: open connections, ask OPTIONS on each, see a 200, keep them open.
 *
 *     cc -O2 -o generator_limit generator_limit.c && ./generator_limit 127.0.0.1 5060 10000
 *
 * One epoll loop, planned source addresses and ports (127.0.1.1 on, 1000 each), no statistics, no timeouts, and an
 * answer that doesn't come whole in one recv(2) is an error. Prints "held N" once all are answered, waits for the end
 * of standard input, resets all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PER_ADDRESS 1000
#define BATCH 128

static int epoll, answered, numbers[1 << 20];
static const char *address;
static int port;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void ask(int fd)
{
	char text[1024];
	int n = numbers[fd];
	int size = snprintf(text, sizeof text,
			    "OPTIONS sip:%s:%d;transport=tcp SIP/2.0\r\n"
			    "Via: SIP/2.0/TCP load.invalid;branch=z9hG4bKc%d;rport\r\n"
			    "Max-Forwards: 70\r\n"
			    "From: <sip:load%d@load.invalid>;tag=c%d\r\n"
			    "To: <sip:%s:%d>\r\n"
			    "Call-ID: c%d@load.invalid\r\n"
			    "CSeq: 1 OPTIONS\r\n"
			    "Content-Length: 0\r\n\r\n",
			    address, port, n, n, n, address, port, n);

	if (send(fd, text, size, MSG_NOSIGNAL) != size)
		die("send");
}

static void look(int wait)
{
	struct epoll_event events[512];
	char text[16384];
	int count = epoll_wait(epoll, events, 512, wait);

	for (int i = 0; i < count; i++) {
		int fd = events[i].data.fd;
		ssize_t got;

		if (events[i].events & EPOLLOUT) { /* connected */
			struct epoll_event wish = {.events = EPOLLIN, .data.fd = fd};

			if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &wish))
				die("epoll_ctl");
			ask(fd);
			continue;
		}
		got = recv(fd, text, sizeof text, 0);
		if (got < 16 || memcmp(text, "SIP/2.0 200", 11) || memcmp(text + got - 4, "\r\n\r\n", 4)) {
			fprintf(stderr, "no whole 200: %zd bytes\n", got);
			exit(1);
		}
		answered++;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET}, from = {.sin_family = AF_INET};
	struct linger reset = {.l_onoff = 1};
	struct rlimit files;
	int count;
	char end;

	if (argc != 4)
		return 2;
	address = argv[1];
	port = atoi(argv[2]);
	count = atoi(argv[3]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	inet_pton(AF_INET, address, &to.sin_addr);
	to.sin_port = htons(port);
	epoll = epoll_create1(0);
	for (int n = 0; n < count; n++) {
		struct epoll_event wish = {.events = EPOLLIN};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (fd < 0)
			die("socket");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		from.sin_addr.s_addr = htonl(0x7f000101 + n / PER_ADDRESS);
		from.sin_port = htons(1024 + n % PER_ADDRESS);
		if (bind(fd, (struct sockaddr *)&from, sizeof from))
			die("bind");
		numbers[fd] = n;
		wish.data.fd = fd;
		if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
			ask(fd);
		else if (errno == EINPROGRESS)
			wish.events = EPOLLOUT;
		else
			die("connect");
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wish))
			die("epoll_ctl");
		if (n % BATCH == BATCH - 1)
			look(0);
	}
	while (answered < count)
		look(1000);
	printf("held %d\n", answered);
	fflush(stdout);
	while (read(0, &end, 1) > 0)
		;
	return 0;
}
