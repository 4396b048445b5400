"""A slixmpp client with In-Band Bytestreams, for tests/ibb_interop.

It says who it is, then obeys one command on its standard input:

  take          accepts a bytestream and reads it to its end
  give JID N    opens a bytestream to JID, sends N bytes, and closes it

and says what the bytes were, as "took N SHA256" or "gave N SHA256", or why it was "refused".
"""

import asyncio
import hashlib
import sys

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError


class Peer(ClientXMPP):
    def __init__(self, jid, password, ca_file):
        super().__init__(jid, password)
        self.ca_certs = ca_file
        self.register_plugin("xep_0047", {"auto_accept": True})
        self.add_event_handler("session_start", self.obey)
        self.add_event_handler("failed_all_auth", lambda _: sys.exit("the login failed"))
        self.opened = asyncio.Queue()
        self.add_event_handler("ibb_stream_start", self.opened.put_nowait)

    async def obey(self, _):
        self.send_presence()
        say("online", self.boundjid.full)
        command = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        match command.split():
            case ["take"]:
                say("ready")
                await self.take()
            case ["give", jid, count]:
                await self.give(jid, int(count))
        self.disconnect()

    async def take(self):
        stream = await self.opened.get()
        report("took", await stream.gather(timeout=60))

    async def give(self, jid, count):
        data = bytes(n * n % 251 for n in range(count))
        try:
            stream = await self["xep_0047"].open_stream(jid)
            await stream.sendall(data)
        except IqError as error:
            return say("refused", error.condition)
        # Its future never comes true.
        stream.close()
        report("gave", data)


def report(word, data):
    say(word, len(data), hashlib.sha256(data).hexdigest())


def say(*words):
    print(*words, flush=True)


host, port, jid, password, ca_file = sys.argv[1:]
peer = Peer(jid, password, ca_file)
peer.connect((host, int(port)))
peer.process(forever=False)
