//! Help: examples, exit statuses, and where more is written.

/// Below the help of the program.
pub(super) const PROGRAM: &str = "\
Exit status:
  0  help was shown, or the work is done: a signal came, or Tor has closed standard input
  1  a fault at run time, such as accounts that can never log in
  2  a fault of the command line, the configuration or the environment

`hexchat-pt help COMMAND` shows examples of a command.
Documentation: doc/using.md and doc/hexchat.example.toml in the source of this program.";

/// Below the help of `forward`.
pub(super) const FORWARD: &str = "\
Examples:
  A port of this machine leads through chat to 10.0.0.1:80 at the other side, whose bridge line is in a file:
    hexchat-pt forward --config hexchat.toml --listen 5555 --bridge-line-file bridge.txt --target 10.0.0.1:80
  The same by the classic protocol, to an account:
    hexchat-pt forward --config hexchat.toml --listen 127.0.0.1:5555 --to bridge@chat.example --target 10.0.0.1:80

Once it listens, it writes `LISTENING IP:PORT` to standard output. The account to log in with is in the configuration file.
Exit status: 0 after a signal, 1 for a fault at run time, 2 for one of what was written. More is in doc/using.md.";

/// Below the help of `client`.
pub(super) const CLIENT: &str = "\
Examples:
  A SOCKS port for a Tor whose torrc has `ClientTransportPlugin hexchat socks5 127.0.0.1:5700`:
    hexchat-pt client --listen 5700
  The same, through a proxy:
    TOR_PT_PROXY=socks5://127.0.0.1:1080 hexchat-pt client --listen 127.0.0.1:5700

Exit status: 0 after a signal, 1 for a fault at run time, 2 for one of what was written. More is in doc/using.md.";

/// Below the help of `gen-psk`.
pub(super) const GEN_PSK: &str = "\
Example:
  A secret for `psk` of [bridge] in a bridge's configuration; its bridge line has it from the next start on:
    hexchat-pt gen-psk";

/// Below the help of `version`.
pub(super) const VERSION: &str = "\
Example:
  What to say in a report of a fault:
    hexchat-pt version --verbose";

/// Below the help of `doctor`.
pub(super) const DOCTOR: &str = "\
Examples:
  Whether the accounts of a bridge, or of a client, can log in, and what their servers have to offer:
    hexchat-pt doctor --config hexchat.toml
  The whole way to a bridge whose line is in a file, as Tor would go it:
    hexchat-pt doctor --config hexchat.toml --bridge-line-file bridge.txt
  The same with an account that is in the bridge line, for a program to read:
    hexchat-pt doctor --bridge-line-file bridge.txt --json";

/// Below the help of `bridge-line`.
pub(super) const BRIDGE_LINE: &str = "\
Examples:
  The line of a bridge that Debian's tor runs:
    hexchat-pt bridge-line --state /var/lib/tor/pt_state
  As a picture to scan, in the terminal or in a file:
    hexchat-pt bridge-line --state /var/lib/tor/pt_state --qr
    hexchat-pt bridge-line --state /var/lib/tor/pt_state --qr bridge.png
  Another line, once the bridge has been stopped:
    hexchat-pt bridge-line rotate --state /var/lib/tor/pt_state";

/// Below the help of `forget`.
pub(super) const FORGET: &str = "\
Examples:
  Removes the account that `login=new@chat.example` has registered:
    hexchat-pt forget new@chat.example --state /var/lib/tor/pt_state
  Forgets it where the server is gone:
    hexchat-pt forget new@chat.example --local --state /var/lib/tor/pt_state";

/// Below the help of `serve`.
pub(super) const SERVE: &str = "\
Examples:
  Lets those who have the bridge line reach one web server, and nothing else:
    hexchat-pt serve --config hexchat.toml --secure --allow 10.0.0.1:80
  The same for two targets, by the classic protocol:
    hexchat-pt serve --config hexchat.toml --allow 10.0.0.1:80 --allow 10.0.0.1:443

Once its accounts are online, it writes `READY JID[,JID]` to standard output; `hexchat-pt bridge-line` prints the bridge line.
Exit status: 0 after a signal, 1 for a fault at run time, 2 for one of what was written. More is in doc/using.md.";
