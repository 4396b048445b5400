"""An ordinary idle chat client: what slixmpp makes of an account when nobody programs it to do anything.

Usage: plain_client.py JID HOST PORT CA_FILE, with the password in PLAIN_CLIENT_PASSWORD. Writes READY and its full JID.
"""

import os
import sys

import slixmpp

PLUGINS = ("xep_0030", "xep_0092", "xep_0199", "xep_0202")


class PlainClient(slixmpp.ClientXMPP):
    def __init__(self, jid, password, ca_file):
        super().__init__(jid, password)
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.ca_certs = ca_file
        self.add_event_handler("session_start", self.start)

    def start(self, _event):
        self.send_presence()
        print("READY", self.boundjid.full, flush=True)


jid, host, port, ca_file = sys.argv[1:]
client = PlainClient(jid, os.environ["PLAIN_CLIENT_PASSWORD"], ca_file)
client.connect((host, int(port)))
client.process(forever=True)
