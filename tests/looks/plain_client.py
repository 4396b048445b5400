"""An ordinary idle chat client: what slixmpp makes of an account when nobody programs it to do anything.

Usage: plain_client.py JID HOST PORT CA_FILE [PLUGIN…], with the password in PLAIN_CLIENT_PASSWORD. Writes READY and its full JID.
"""

import os
import sys
import types

# The plugin for uploads has it for the web, where no test goes; not every machine has it.
sys.modules.setdefault("aiohttp", types.SimpleNamespace(ClientSession=None))

import slixmpp  # noqa: E402

PLUGINS = ("xep_0030", "xep_0092", "xep_0199", "xep_0202")


class PlainClient(slixmpp.ClientXMPP):
    def __init__(self, jid, password, ca_file, plugins):
        super().__init__(jid, password)
        for plugin in (*PLUGINS, *plugins):
            self.register_plugin(plugin)
        self.ca_certs = ca_file
        self.add_event_handler("session_start", self.start)

    def start(self, _event):
        self.send_presence()
        print("READY", self.boundjid.full, flush=True)


jid, host, port, ca_file, *plugins = sys.argv[1:]
client = PlainClient(jid, os.environ["PLAIN_CLIENT_PASSWORD"], ca_file, plugins)
client.connect((host, int(port)))
client.process(forever=True)
