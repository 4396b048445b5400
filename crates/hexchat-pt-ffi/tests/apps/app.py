"""An app in Python, with the bindings beside it.

    app.py serve STATE_DIR CONFIG_FILE
        starts the transport, says PORT and its number, and stops it when a line comes on standard input

    app.py rounds ROUNDS STATE_DIR CONFIG_FILE ARGUMENTS TARGET_PORT
        does so that many times, sends some bytes through it and back each time, and says what is left of it
"""

import os
import socket
import sys
import threading

import hexchat_pt


class Events(hexchat_pt.OnTransportEvents):
    def __init__(self):
        self.heard = []

    def connected(self):
        self.heard.append("connected")
        raise RuntimeError("an app that fails at an event")

    def error(self, sentence):
        self.heard.append("error: " + sentence)

    def stopped(self):
        self.heard.append("stopped")


def controller(state_dir, events):
    return hexchat_pt.Controller(state_dir, True, False, "notice", events)


def read(path):
    with open(path) as file:
        return file.read()


def expect(kind, call):
    try:
        call()
    except kind as error:
        print("REFUSED", kind.__name__, error)
    else:
        raise SystemExit(f"{kind.__name__} was expected")


def hear(tcp, length):
    heard = b""
    while len(heard) < length:
        more = tcp.recv(length - len(heard))
        if not more:
            raise SystemExit("the connection has ended")
        heard += more
    return heard


def dial(port, arguments, target):
    tcp = socket.create_connection(("127.0.0.1", port))
    name, rest = arguments[:255], arguments[255:] or b"\0"
    tcp.sendall(b"\5\1\2")
    assert hear(tcp, 2) == b"\5\2"
    tcp.sendall(b"\1" + bytes([len(name)]) + name + bytes([len(rest)]) + rest)
    assert hear(tcp, 2)[1] == 0
    tcp.sendall(b"\5\1\0\1" + bytes([127, 0, 0, 1]) + target.to_bytes(2, "big"))
    assert hear(tcp, 10)[1] == 0, "the transport has refused"
    return tcp


def left():
    return "threads", len(os.listdir("/proc/self/task")), "descriptors", len(os.listdir("/proc/self/fd"))


def serve(state_dir, config):
    events = Events()
    transport = controller(state_dir, events)
    transport.start(read(config), None)
    print("PORT", transport.port(), flush=True)
    sys.stdin.readline()
    transport.stop()
    print("EVENTS", *events.heard, flush=True)
    assert transport.port() == 0 and threading.active_count() == 1


def rounds(count, state_dir, config, arguments, target):
    print("VERSION", hexchat_pt.version())
    print("BEFORE", *left())
    expect(hexchat_pt.ControllerError.LogLevel, lambda: hexchat_pt.Controller(state_dir, True, False, "loud", None))
    events = Events()
    transport = controller(state_dir, events)
    assert transport.state_dir() == state_dir and transport.local_address() == ""
    expect(hexchat_pt.ControllerError.Config, lambda: transport.start("nonsense", None))
    expect(hexchat_pt.ControllerError.Proxy, lambda: transport.start(None, "gopher://127.0.0.1:1"))
    for number in range(1, int(count) + 1):
        transport.start(config=read(config))
        assert transport.local_address() == f"127.0.0.1:{transport.port()}"
        expect(hexchat_pt.ControllerError.AlreadyRunning, transport.start)
        with dial(transport.port(), arguments.encode(), int(target)) as tcp:
            tcp.sendall(b"x" * 2000)
            assert hear(tcp, 2000) == b"x" * 2000
        transport.stop()
        assert events.heard == ["connected", "stopped"], events.heard
        events.heard.clear()
        print("ROUND", number, *left(), flush=True)


if __name__ == "__main__":
    {"serve": serve, "rounds": rounds}[sys.argv[1]](*sys.argv[2:])
