//! Parents: the two programs that read our standard output, C tor and Arti, as far as they refuse a line.
//!
//! Written down again from what their parsers accept, in our own words and without the program's own types. A launch that
//! is announced to have failed (`ENV-ERROR`, `CMETHOD-ERROR`) is no refusal: what a parent cannot read, or does not
//! expect at that moment, is.

pub(crate) mod arti;
pub(crate) mod c_tor;

use std::ffi::OsStr;

/// Pairs of a `LOG` or `STATUS` line, in their order.
pub(crate) type Pairs = Vec<(String, String)>;

/// The severities that both know.
const SEVERITIES: [&str; 5] = ["error", "warning", "notice", "info", "debug"];

/// What a parent has asked its child for, as far as it matters for the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) transports: Vec<String>,
    pub(crate) server: bool,
    pub(crate) proxy: bool,
}

impl Asked {
    /// Reads the environment of a launch.
    pub(crate) fn from_env<'e>(variable: impl Fn(&str) -> Option<&'e OsStr>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let server = set("TOR_PT_SERVER_TRANSPORTS");
        let list = server.or(set("TOR_PT_CLIENT_TRANSPORTS")).unwrap_or_default();
        Self {
            transports: list.to_string_lossy().split(',').map(str::to_owned).collect(),
            server: server.is_some(),
            // Only a client is told of a proxy; elsewhere the variable is a leftover.
            proxy: server.is_none() && set("TOR_PT_PROXY").is_some(),
        }
    }
}

/// Reads everything that a child has written to standard output, as both parents do; the first line that one of them
/// refuses is the error.
pub(crate) fn read_all(asked: &Asked, stdout: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(stdout).map_err(|_| "standard output is not UTF-8".to_owned())?;
    let mut c_tor = c_tor::Parent::new(asked);
    let mut arti = arti::Parent::new(asked);
    for line in text.split_inclusive('\n') {
        let line = line.strip_suffix('\n').ok_or_else(|| format!("the line does not end: {line:?}"))?;
        physical(line).map_err(|why| format!("{why}: {line:?}"))?;
        c_tor.read(line).map_err(|why| format!("C tor: {why}: {line:?}"))?;
        arti.read(line).map_err(|why| format!("Arti: {why}: {line:?}"))?;
    }
    Ok(())
}

/// What a line is made of, whoever reads it.
fn physical(line: &str) -> Result<(), &'static str> {
    if line.is_empty() {
        return Err("an empty line");
    }
    if line.chars().any(char::is_control) {
        return Err("a control character");
    }
    Ok(())
}

/// A transport's name is a C identifier.
fn check_name(name: &str) -> Result<(), String> {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if first && rest { Ok(()) } else { Err(format!("{name:?} is no name of a transport")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Asked {
        Asked { transports: vec!["hexchat".to_owned()], server: false, proxy: false }
    }

    fn server() -> Asked {
        Asked { server: true, ..client() }
    }

    fn refused(asked: &Asked, stdout: &str) -> String {
        read_all(asked, stdout.as_bytes()).expect_err(stdout)
    }

    #[test]
    fn what_the_specification_shows_is_read() {
        for stdout in [
            "VERSION 1\nCMETHOD hexchat socks5 127.0.0.1:32525\nCMETHODS DONE\n",
            "VERSION 1\nCMETHODS DONE\n",
            "VERSION 1\nCMETHOD-ERROR hexchat no can do\nCMETHODS DONE\n",
            "VERSION-ERROR no-version\n",
            "ENV-ERROR No TOR_PT_AUTH_COOKIE_FILE when TOR_PT_EXTENDED_SERVER_PORT set\n",
            "LOG SEVERITY=debug MESSAGE=\"Connected to bridge \\\"A\\\"\"\nVERSION 1\nCMETHODS DONE\n",
            "VERSION 1\nCMETHODS DONE\nSTATUS TRANSPORT=hexchat ADDRESS=198.51.100.123:1234 CONNECT=Success\n",
        ] {
            assert_eq!(read_all(&client(), stdout.as_bytes()), Ok(()), "{stdout}");
        }
        let bridge = "VERSION 1\nSMETHOD hexchat 198.51.100.1:19999 ARGS:a=b\\=c,d=\nSMETHODS DONE\n";
        assert_eq!(read_all(&server(), bridge.as_bytes()), Ok(()));
        let proxied = Asked { proxy: true, ..client() };
        assert_eq!(read_all(&proxied, b"VERSION 1\nPROXY DONE\nCMETHODS DONE\n"), Ok(()));
        assert_eq!(
            read_all(&proxied, b"VERSION 1\nPROXY-ERROR SOCKS 4 upstream proxies unsupported.\n"),
            Ok(())
        );
    }

    #[test]
    fn what_is_out_of_order_is_refused() {
        for stdout in [
            "CMETHODS DONE\n",
            "VERSION 1\nVERSION 1\n",
            "VERSION 2\n",
            "VERSION 1 \n",
            "VERSION 1\nENV-ERROR late\n",
            "ENV-ERROR early\nVERSION 1\n",
            "VERSION 1\nPROXY DONE\n",
            "VERSION 1\nSMETHODS DONE\n",
            "VERSION 1\nCMETHODS DONE\nCMETHOD hexchat socks5 127.0.0.1:1\n",
            "VERSION 1\nCMETHODS DONE\nCMETHODS DONE\n",
        ] {
            refused(&client(), stdout);
        }
        let proxied = Asked { proxy: true, ..client() };
        refused(&proxied, "VERSION 1\nPROXY DONE\nPROXY DONE\nCMETHODS DONE\n");
        refused(&proxied, "VERSION 1\nCMETHODS DONE\n");
        refused(&server(), "VERSION 1\nCMETHODS DONE\n");
    }

    #[test]
    fn a_line_that_a_parent_cannot_read_is_refused() {
        for line in [
            "",
            "HELLO",
            "cmethods done",
            "CMETHOD hexchat socks5 127.0.0.1:0",
            "CMETHOD hexchat socks5 192.0.2.1:1",
            "CMETHOD hexchat socks5 localhost:1",
            "CMETHOD hexchat http 127.0.0.1:1",
            "CMETHOD hexchat  socks5 127.0.0.1:1",
            "CMETHOD other socks5 127.0.0.1:1",
            "CMETHOD hexchat-pt socks5 127.0.0.1:1",
            "CMETHOD-ERROR hexchat",
            "LOG SEVERITY=notice",
            "LOG MESSAGE=a SEVERITY=notice",
            "LOG SEVERITY=loud MESSAGE=a",
            "LOG SEVERITY=notice MESSAGE=\"a",
            "LOG SEVERITY=notice MESSAGE=\"a\\u\"",
            "LOG SEVERITY=notice MESSAGE=\"\\101\"",
            "LOG SEVERITY=notice MESSAGE=a b",
            "LOG SEVERITY=notice MESSAGE=\"\"",
            "LOG SEVERITY=notice MESSAGE=\"a\" and more",
            "STATUS TRANSPORT=hexchat",
            "STATUS TYPE=version VERSION=1",
            "STATUS TRANSPORT=hexchat A=",
            "STATUS TRANSPORT=hexchat A=1 A=2",
            "STATUS TRANSPORT=hexchat A",
            "STATUS TRANSPORT=hexchat  A=1",
            "LOG SEVERITY=notice MESSAGE=\"a\u{7f}\"",
        ] {
            refused(&client(), &format!("VERSION 1\n{line}\n"));
        }
        for line in [
            "SMETHOD hexchat 127.0.0.1:0",
            "SMETHOD hexchat host:1",
            "SMETHOD hexchat 127.0.0.1:1 ARGS:k=v=w",
            "SMETHOD hexchat 127.0.0.1:1 ARGS:k",
            "SMETHOD hexchat 127.0.0.1:1 ARGS:k=\\",
            "SMETHOD hexchat 127.0.0.1:1 args",
        ] {
            refused(&server(), &format!("VERSION 1\n{line}\n"));
        }
        assert!(read_all(&client(), b"VERSION 1\nENV-ERROR \xff\n").is_err());
        assert!(read_all(&client(), b"VERSION 1").is_err());
    }
}
