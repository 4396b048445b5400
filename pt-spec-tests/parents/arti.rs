//! Arti: `ipc.rs` of `tor-ptmgr`. It cuts a line at single blanks, and ends a child over any line that it cannot read.

use std::net::SocketAddr;

use super::{Asked, Pairs, SEVERITIES, check_name};

/// Arti with one child.
pub(crate) struct Parent<'a> {
    asked: &'a Asked,
    proxy_done: bool,
    /// Whether the launch is over, one way or the other.
    over: bool,
}

impl<'a> Parent<'a> {
    pub(crate) fn new(asked: &'a Asked) -> Self {
        Self { asked, proxy_done: !asked.proxy, over: false }
    }

    pub(crate) fn read(&mut self, line: &str) -> Result<(), String> {
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        match keyword {
            "LOG" => log(line).map(drop),
            "STATUS" => status(line).map(drop),
            "VERSION" if rest.split(' ').next() != Some("1") => Err("another version".to_owned()),
            "VERSION" => self.during_launch(),
            "VERSION-ERROR" if rest != "no-version" => Err("a strange VERSION-ERROR".to_owned()),
            "VERSION-ERROR" | "ENV-ERROR" | "PROXY-ERROR" => self.ends_launch(),
            "CMETHOD-ERROR" | "SMETHOD-ERROR" => method_error(rest),
            "PROXY" => self.proxy(rest),
            "CMETHOD" => self.cmethod(rest),
            "SMETHOD" => self.smethod(rest),
            "CMETHODS" if rest == "DONE" && !self.asked.server => self.ends_launch(),
            "SMETHODS" if rest == "DONE" && self.asked.server => self.ends_launch(),
            _ => Err("an unknown line".to_owned()),
        }
    }

    fn during_launch(&self) -> Result<(), String> {
        if self.over { Err("the launch is over".to_owned()) } else { Ok(()) }
    }

    fn ends_launch(&mut self) -> Result<(), String> {
        self.during_launch()?;
        self.over = true;
        Ok(())
    }

    fn proxy(&mut self, rest: &str) -> Result<(), String> {
        self.during_launch()?;
        if self.proxy_done || rest != "DONE" {
            return Err("a proxy that it did not ask for, or twice".to_owned());
        }
        self.proxy_done = true;
        Ok(())
    }

    fn cmethod(&self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split(' ').collect();
        let [name, "socks4" | "socks5", address] = words[..] else {
            return Err("not three words".to_owned());
        };
        let address: SocketAddr = address.parse().map_err(|_| "no address")?;
        if !address.ip().is_loopback() {
            return Err("the address is not this machine's".to_owned());
        }
        self.launched(name)
    }

    fn smethod(&self, rest: &str) -> Result<(), String> {
        let mut words = rest.split(' ');
        let name = words.next().unwrap_or_default();
        let address = words.next().ok_or("no address")?;
        address.parse::<SocketAddr>().map_err(|_| "no address")?;
        for option in words {
            smethod_args(option.strip_prefix("ARGS:").ok_or("an unknown option")?)?;
        }
        self.launched(name)
    }

    fn launched(&self, name: &str) -> Result<(), String> {
        self.during_launch()?;
        check_name(name)?;
        let asked = self.asked.transports.iter().any(|asked| asked == name);
        if asked { Ok(()) } else { Err("a transport that it did not ask for".to_owned()) }
    }
}

/// `name text`: ends the launch, as the child wants.
fn method_error(rest: &str) -> Result<(), String> {
    let (name, text) = rest.split_once(' ').ok_or("no text")?;
    check_name(name)?;
    if text.trim().is_empty() { Err("no text".to_owned()) } else { Ok(()) }
}

/// `LOG SEVERITY=… MESSAGE=…`, in this order. What follows the text is lost.
pub(crate) fn log(line: &str) -> Result<Pairs, String> {
    let rest = line.strip_prefix("LOG SEVERITY=").ok_or("the severity does not come first")?;
    let (severity, rest) = rest.split_once(' ').ok_or("no message")?;
    let (text, lost) = value(rest.strip_prefix("MESSAGE=").ok_or("the message does not come second")?)?;
    if !SEVERITIES.contains(&severity) {
        return Err(format!("{severity:?} is no severity"));
    }
    if !lost.is_empty() {
        return Err("something follows the message".to_owned());
    }
    Ok(vec![("SEVERITY".to_owned(), severity.to_owned()), ("MESSAGE".to_owned(), text)])
}

/// `STATUS K=V …`. Earlier ones insist on `TRANSPORT`, all dislike a repeated key and an empty value.
pub(crate) fn status(line: &str) -> Result<Pairs, String> {
    let mut rest = line.strip_prefix("STATUS ").ok_or("no STATUS line")?;
    let mut pairs = Pairs::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or("a key without a value")?;
        if after.is_empty() || key.is_empty() || key.contains(' ') {
            return Err("a key without a value, or a value without a key".to_owned());
        }
        if pairs.iter().any(|(earlier, _)| earlier == key) {
            return Err(format!("{key} comes twice"));
        }
        let (text, left) = value(after)?;
        if text.is_empty() {
            return Err(format!("{key} is empty"));
        }
        pairs.push((key.to_owned(), text));
        rest = left.strip_prefix(' ').unwrap_or(left);
    }
    match pairs.iter().find(|(key, _)| key == "TRANSPORT") {
        Some((_, name)) => check_name(name).map(|()| pairs),
        None => Err("no TRANSPORT".to_owned()),
    }
}

/// A value at the beginning of `text`, and what follows it.
fn value(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, left) = text.split_at(text.find(' ').unwrap_or(text.len()));
        return Ok((value.to_owned(), left));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next().ok_or("the string does not end")? {
            '"' => return Ok((value, chars.as_str())),
            '\\' => value.push(match chars.next().ok_or("a lone backslash")? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0'..='8' => return Err("an octal escape".to_owned()),
                same => same,
            }),
            c => value.push(c),
        }
    }
}

/// `k=v,k=v` with backslashes before `=`, `,` and `\`.
pub(crate) fn smethod_args(text: &str) -> Result<Pairs, String> {
    let mut pairs = vec![(String::new(), None::<String>)];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let (key, value) = pairs.last_mut().ok_or("no pair")?;
        match c {
            ',' => pairs.push((String::new(), None)),
            '=' if value.is_some() => return Err("a second equals sign".to_owned()),
            '=' => *value = Some(String::new()),
            '\\' => value.as_mut().unwrap_or(key).push(chars.next().ok_or("a lone backslash")?),
            c => value.as_mut().unwrap_or(key).push(c),
        }
    }
    let pair = |(key, value): (String, Option<String>)| Ok((key, value.ok_or("no equals sign")?));
    pairs.into_iter().map(pair).collect()
}
