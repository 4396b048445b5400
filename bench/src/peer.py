"""A slixmpp client with In-Band Bytestreams, to be measured.

It says who it is, then obeys commands on its standard input:

  give JID BLOCK AT_ONCE SECONDS    opens a bytestream to JID and sends blocks of BLOCK bytes for so long

and says "gave BYTES NANOSECONDS": what was acknowledged, in which time; or "failed" and why. What others open is
accepted and read.
With AT_ONCE 1 it sends as the library does by itself, the next block when the one before was answered. With more, so
many calls of the library's send() wait for their answers at a time.
"""

import asyncio
import os
import sys
import time

from slixmpp import ClientXMPP
from slixmpp.exceptions import XMPPError


class Peer(ClientXMPP):
    def __init__(self, jid, password, ca_file):
        super().__init__(jid, password)
        self.ca_certs = ca_file
        self.register_plugin("xep_0047", {"auto_accept": True, "max_block_size": 65535})
        self.add_event_handler("session_start", self.obey)
        self.add_event_handler("failed_all_auth", lambda _: sys.exit("the login failed"))
        self.add_event_handler("ibb_stream_data", lambda stream: stream.read())

    async def obey(self, _):
        self.send_presence()
        say("online", self.boundjid.full)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            _, jid, block, at_once, seconds = line.split()
            try:
                await self.give(jid, int(block), int(at_once), float(seconds))
            except XMPPError as error:
                say("failed", error.condition)
        self.disconnect()

    async def give(self, jid, block, at_once, seconds):
        data = os.urandom(block)
        stream = await self["xep_0047"].open_stream(jid, block_size=block)
        started = time.monotonic_ns()
        end = started + int(seconds * 1e9)
        given = 0

        async def send():
            nonlocal given
            while time.monotonic_ns() < end:
                given += await stream.send(data)

        await asyncio.gather(*(send() for _ in range(at_once)))
        say("gave", given, time.monotonic_ns() - started)
        stream.close()


def say(*words):
    print(*words, flush=True)


host, port, jid, password, ca_file = sys.argv[1:]
peer = Peer(jid, password, ca_file)
if hasattr(peer, "process"):
    peer.connect((host, int(port)))
    peer.process(forever=False)
else:
    # Newer ones take the address as two arguments, and leave the loop to the caller.
    peer.connect(host, int(port))
    peer.loop.run_until_complete(peer.disconnected)
