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

/// Below the help of `serve`.
pub(super) const SERVE: &str = "\
Examples:
  Lets those who have the bridge line reach one web server, and nothing else:
    hexchat-pt serve --config hexchat.toml --secure --allow 10.0.0.1:80
  The same for two targets, by the classic protocol:
    hexchat-pt serve --config hexchat.toml --allow 10.0.0.1:80 --allow 10.0.0.1:443

Once its accounts are online, it writes `READY JID[,JID]` to standard output; `hexchat-pt bridge-line` prints the bridge line.
Exit status: 0 after a signal, 1 for a fault at run time, 2 for one of what was written. More is in doc/using.md.";
