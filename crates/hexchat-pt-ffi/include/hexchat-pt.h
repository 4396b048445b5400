/* hexchat-pt for programs in C: the SOCKS port of the transport, in threads of the program.
 *
 * Link with libhexchat_pt_ffi.so, or with libhexchat_pt_ffi.a and -lpthread -ldl -lm. Strings are UTF-8 and end with a zero byte. */

#ifndef HEXCHAT_PT_H
#define HEXCHAT_PT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A transport, which can be started and stopped any number of times. Every function but hexchat_pt_free may be called by any thread. */
typedef struct hexchat_pt hexchat_pt;

/* What is called when something happens, by one thread that does nothing else. Each may be NULL. None may wait for whoever calls
 * hexchat_pt_stop, or call hexchat_pt_free, or throw. `context` is given to each, and is used until the transport is freed. */
typedef struct hexchat_pt_events {
    void *context;
    /* A session with a bridge is up: the first, and each that is made or taken up again later. */
    void (*connected)(void *context);
    /* Something does not work, in a sentence for the user, as the log has it. It is gone when this returns. */
    void (*error)(void *context, const char *sentence);
    /* The transport has ended. */
    void (*stopped)(void *context);
} hexchat_pt_events;

/* The version, for as long as the program runs. */
const char *hexchat_pt_version(void);

/* Makes a transport that does nothing yet. `state_dir` is the program's own folder for what is kept between runs, and is made if it is not
 * there; no two transports may run with the same. Lines of the log from `log_level` on ("error", "warning", "notice", "info", "debug"; ""
 * is "notice") go to hexchat-pt.log in it, warnings in any case; NULL is no log. `unsafe_logging` shows JIDs and addresses in the log and
 * in errors. `events` is copied, and may be NULL.
 *
 * Returns NULL where it cannot be made, and says why in `error`, of `error_size` bytes; `error` may be NULL. */
hexchat_pt *hexchat_pt_new(const char *state_dir, const char *log_level, bool unsafe_logging, const hexchat_pt_events *events, char *error,
                           size_t error_size);

/* Starts it: when this has returned 0, it takes SOCKS connections at hexchat_pt_port. `config` is the text of a configuration file (TOML),
 * NULL if bridge lines say everything; `proxy` is what to go through, such as "socks5://127.0.0.1:1080", or NULL. Reads and writes files,
 * and does not wait for the network.
 *
 * Returns -1 where it was not started, calls no event, and says why in `error`. */
int hexchat_pt_start(const hexchat_pt *transport, const char *config, const char *proxy, char *error, size_t error_size);

/* The port of 127.0.0.1 where it takes SOCKS connections; 0 where it does not run. */
uint16_t hexchat_pt_port(const hexchat_pt *transport);

/* Closes its streams, logs out, and returns when the last event was called and its threads have ended, after six seconds at most and as long
 * as the last events take. Called by an event it returns before the rest of them, and for that thread it is running until then. */
void hexchat_pt_stop(const hexchat_pt *transport);

/* Stops it, and frees it. Nothing may use it any more. NULL is nothing. */
void hexchat_pt_free(hexchat_pt *transport);

#ifdef __cplusplus
}
#endif

#endif
