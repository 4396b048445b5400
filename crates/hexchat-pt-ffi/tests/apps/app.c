/* An app in C: starts the transport so many times, sends some bytes through it and back each time, and says what is left of it.
 *
 *     app ROUNDS STATE_DIR CONFIG_FILE ARGUMENTS TARGET_PORT
 *
 * ARGUMENTS are those of the bridge line as tor sends them; whoever listens at the port of 127.0.0.1 sends everything back. */

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hexchat-pt.h"

static int connected, errors, stopped;

static void on_connected(void *context) { __atomic_add_fetch((int *)context, 1, __ATOMIC_SEQ_CST); }
static void on_error(void *context, const char *sentence) {
    (void)context;
    errors++;
    fprintf(stderr, "error: %s\n", sentence);
}
static void on_stopped(void *context) {
    (void)context;
    stopped++;
}

static void fail(const char *what) {
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

/* How many names a folder of /proc has. */
static int count(const char *folder) {
    DIR *open = opendir(folder);
    int names = 0;
    if (!open) fail(folder);
    for (struct dirent *name; (name = readdir(open));) names += name->d_name[0] != '.';
    closedir(open);
    return names;
}

/* The dirty pages that only this process has, in kilobytes: those that it was given or has changed, and that are in no file. (Private_Dirty also
 * counts the pages of a library that was built a moment ago, until the system has written them to the disk.) */
static long dirty(void) {
    static char text[4096];
    int file = open("/proc/self/smaps_rollup", O_RDONLY);
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length < 0) fail("smaps_rollup");
    text[length] = 0;
    const char *line = strstr(text, "\nAnonymous:");
    return line ? atol(line + strlen("\nAnonymous:")) : -1;
}

/* What was allocated and not freed, by everybody in this process. */
static size_t heap(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void say(int to, const void *bytes, size_t length) {
    if (write(to, bytes, length) != (ssize_t)length) fail("writing");
}

static void hear(int from, void *bytes, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t more = read(from, (char *)bytes + done, length - done);
        if (more <= 0) fail("reading");
        done += more;
    }
}

/* A connection through the transport: SOCKS5, in whose name and password tor puts the arguments of the bridge line. */
static int dial(int port, const char *arguments, int target) {
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(tcp, (struct sockaddr *)&to, sizeof to)) fail("connecting");
    unsigned char buffer[600], answer[10];
    size_t length = strlen(arguments), name = length > 255 ? 255 : length, rest = length - name;
    say(tcp, "\5\1\2", 3);
    hear(tcp, answer, 2);
    buffer[0] = 1;
    buffer[1] = name;
    memcpy(buffer + 2, arguments, name);
    buffer[2 + name] = rest ? rest : 1;
    buffer[3 + name] = 0;
    memcpy(buffer + 3 + name, arguments + name, rest);
    say(tcp, buffer, 3 + name + (rest ? rest : 1));
    hear(tcp, answer, 2);
    unsigned char request[] = {5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 255};
    say(tcp, request, sizeof request);
    hear(tcp, answer, sizeof answer);
    if (answer[1]) fail("the transport has refused");
    return tcp;
}

static void echo(int tcp) {
    char sent[2000], heard[sizeof sent];
    memset(sent, 'x', sizeof sent);
    say(tcp, sent, sizeof sent);
    hear(tcp, heard, sizeof heard);
    if (memcmp(sent, heard, sizeof sent)) fail("other bytes");
}

int main(int argc, char **argv) {
    if (argc != 6) fail("five arguments");
    static char config[4096], error[256];
    int rounds = atoi(argv[1]), file = open(argv[3], O_RDONLY);
    if (file < 0 || read(file, config, sizeof config - 1) < 0) fail("the configuration");
    close(file);
    printf("VERSION %s\n", hexchat_pt_version());
    long before = dirty();
    printf("BEFORE threads %d descriptors %d\n", count("/proc/self/task"), count("/proc/self/fd"));
    hexchat_pt_events events = {&connected, on_connected, on_error, on_stopped};
    hexchat_pt *transport = hexchat_pt_new(argv[2], "notice", false, &events, error, sizeof error);
    if (!transport) fail(error);
    if (!hexchat_pt_start(transport, "nonsense", NULL, error, sizeof error)) fail("nonsense was taken");
    printf("REFUSED %s\n", error);
    for (int round = 1; round <= rounds; round++) {
        if (hexchat_pt_start(transport, config, NULL, error, sizeof error)) fail(error);
        int tcp = dial(hexchat_pt_port(transport), argv[4], atoi(argv[5]));
        echo(tcp);
        printf("SESSION %d dirty %ld before %ld\n", round, dirty(), before);
        if (getenv("APP_WAITS")) {
            fflush(stdout);
            pause();
        }
        close(tcp);
        hexchat_pt_stop(transport);
        if (hexchat_pt_port(transport)) fail("it has a port");
        if (connected < round || stopped != round) fail("an event is missing");
        printf("ROUND %d threads %d descriptors %d heap %zu\n", round, count("/proc/self/task"), count("/proc/self/fd"), heap());
        fflush(stdout);
    }
    hexchat_pt_free(transport);
    printf("DONE errors %d heap %zu\n", errors, heap());
    return 0;
}
