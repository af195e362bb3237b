/* The endpoints: answers every request with 200 and 1 KiB, on each address given (ip:port ...), from one epoll loop.
 * With `--board FILE` before the addresses, what each one answers, and when it was asked, is in that file (fleet/board.py).
 *
 * Knows requests without a body only, which is what wrk sends. So cheap that it is never what limits a run. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BODY = 1024, CONNECTIONS = 65536, TIMES = 8192 };

/* One endpoint on the board; board.py has the same. `failing` is written there, the rest here. */
struct row {
    uint64_t failing; /* how many of a hundred requests are answered with 503 */
    uint64_t served, failed;
    uint64_t times[TIMES]; /* CLOCK_MONOTONIC in ns of the latest requests that were failed, a ring */
};

static const char failure[] = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\nfailing\n";
static char answer[256 + BODY];
static size_t answer_size;
static struct row *board, *rows[CONNECTIONS]; /* by listener, then by connection */
static char listening[CONNECTIONS];
static unsigned char matched[CONNECTIONS]; /* how much of the blank line that ends a head has been seen */

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static int listen_on(int epoll, char *text) {
    char *colon = strrchr(text, ':');
    struct sockaddr_in address = {.sin_family = AF_INET};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (!colon || fd < 0) fail(text);
    *colon = 0;
    address.sin_port = htons(atoi(colon + 1));
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) fail(text);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1024)) fail(text);
    listening[fd] = 1;
    watch(epoll, fd);
    return fd;
}

static void open_board(const char *path, int endpoints) {
    int fd = open(path, O_RDWR);
    if (fd < 0) fail(path);
    board = mmap(NULL, endpoints * sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED) fail("mmap");
}

static void take_connections(int epoll, int listener) {
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= CONNECTIONS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        matched[fd] = 0;
        rows[fd] = rows[listener];
        watch(epoll, fd);
    }
}

/* How many heads end in these bytes. */
static int count_requests(int fd, const char *data, ssize_t size) {
    int found = 0;
    unsigned char state = matched[fd];
    for (ssize_t i = 0; i < size; i++) {
        state = data[i] == "\r\n\r\n"[state] ? state + 1 : data[i] == '\r';
        if (state == 4) state = 0, found++;
    }
    matched[fd] = state;
    return found;
}

/* Whether the next request is failed; notes it. */
static int fails(struct row *row) {
    struct timespec now;
    if (!row) return 0;
    __atomic_add_fetch(&row->served, 1, __ATOMIC_RELAXED);
    if ((uint64_t)(random() % 100) >= __atomic_load_n(&row->failing, __ATOMIC_RELAXED)) return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    row->times[row->failed % TIMES] = now.tv_sec * 1000000000ull + now.tv_nsec;
    __atomic_add_fetch(&row->failed, 1, __ATOMIC_RELEASE);
    return 1;
}

static int respond(int fd) {
    if (fails(rows[fd])) return write(fd, failure, sizeof failure - 1) == sizeof failure - 1;
    return write(fd, answer, answer_size) == (ssize_t)answer_size;
}

static void serve(int fd) {
    char data[16384];
    ssize_t size = read(fd, data, sizeof data);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) close(fd);
        return;
    }
    for (int left = count_requests(fd, data, size); left > 0; left--)
        if (!respond(fd)) {
            close(fd); /* a client that does not read: not in this benchmark */
            return;
        }
}

int main(int count, char **addresses) {
    int epoll = epoll_create1(0);
    if (count > 2 && !strcmp(addresses[1], "--board")) {
        open_board(addresses[2], count - 3);
        addresses += 2, count -= 2;
    }
    if (epoll < 0) fail("epoll_create1");
    answer_size = snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n", BODY);
    memset(answer + answer_size, 'w', BODY);
    answer_size += BODY;
    for (int i = 1; i < count; i++) {
        int listener = listen_on(epoll, addresses[i]);
        rows[listener] = board ? &board[i - 1] : NULL;
    }
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (listening[fd]) take_connections(epoll, fd);
            else serve(fd);
        }
    }
}
