/* The endpoints: answers every request with 200 and 1 KiB, on each address given (ip:port ...), from one epoll loop.
 *
 * Knows requests without a body only, which is what wrk sends. So cheap that it is never what limits a run. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY = 1024, CONNECTIONS = 65536 };

static char answer[256 + BODY];
static size_t answer_size;
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

static void listen_on(int epoll, char *text) {
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

static void serve(int fd) {
    char data[16384];
    ssize_t size = read(fd, data, sizeof data);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) close(fd);
        return;
    }
    for (int left = count_requests(fd, data, size); left > 0; left--)
        if (write(fd, answer, answer_size) != (ssize_t)answer_size) {
            close(fd); /* a client that does not read: not in this benchmark */
            return;
        }
}

int main(int count, char **addresses) {
    int epoll = epoll_create1(0);
    if (epoll < 0) fail("epoll_create1");
    answer_size = snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n", BODY);
    memset(answer + answer_size, 'w', BODY);
    answer_size += BODY;
    for (int i = 1; i < count; i++) listen_on(epoll, addresses[i]);
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
