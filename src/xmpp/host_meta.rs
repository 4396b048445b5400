//! Host-meta of a domain: where it says that its WebSocket is (XEP-0156, RFC 6415).
//!
//! It is asked for over HTTPS, with a certificate of the domain. That is what makes it the domain's own word, so that the host that it
//! names, whatever its name, is to be trusted as the domain itself (XEP-0156 section 3.3): a certificate of that host is all that it has
//! to show. So nothing is taken from anywhere but HTTPS, neither a redirection nor a WebSocket.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use xmpp_parsers::minidom::Element;

use super::dialer::Dialer;
use super::error::{AccountError, NamedBy, Step};
use super::finder;
use super::http::Head;
use super::parse::parse;
use super::stanza::is_cheap;
use super::tls::Tls;
use crate::config::Url;

/// What a link to a WebSocket is.
const RELATION: &str = "urn:xmpp:alt-connections:websocket";
/// The elements of a host-meta in XML (XRD 1.0).
const XRD: &str = "http://docs.oasis-open.org/ns/xri/xrd-1.0";

/// Requests for one document, at most, counting those that it was moved by: from the domain to `www.` and another host is 3.
const MAX_REQUESTS: usize = 4;

/// Reads the link out of a document.
type Reader = fn(&[u8]) -> Option<Url>;

/// Where the document is, in which form: many domains have one of the two.
const DOCUMENTS: [(&str, Reader); 2] =
    [("/.well-known/host-meta.json", in_json), ("/.well-known/host-meta", in_xml)];

/// Asks the domain `host`, in ASCII, where its WebSocket is. `tls` trusts whom the account trusts. `step` follows what is being done.
///
/// # Errors
///
/// It does not say, or nobody can be asked.
pub(super) async fn find(
    host: &str,
    tls: &Tls,
    dialer: &Dialer,
    step: &mut Step,
) -> Result<Url, AccountError> {
    for (path, read) in DOCUMENTS {
        let url = Url::https(&format!("https://{host}{path}")).ok_or(AccountError::NoWebSocketNamed)?;
        if let Some(url) = named(get(url, tls, dialer, step).await, read)? {
            return Ok(url);
        }
    }
    Err(AccountError::NoWebSocketNamed)
}

/// What one form of the document names. Some web servers have a page of their own for whatever they do not have, of any length: what makes no
/// sense names nothing.
fn named(document: Result<Option<Vec<u8>>, AccountError>, read: Reader) -> Result<Option<Url>, AccountError> {
    match document {
        Ok(document) => Ok(document.and_then(|document| read(&document))),
        Err(AccountError::Protocol(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The document at `url`, or where that was moved to; none if there is none.
async fn get(
    mut url: Url,
    tls: &Tls,
    dialer: &Dialer,
    step: &mut Step,
) -> Result<Option<Vec<u8>>, AccountError> {
    let mut named_by = NamedBy::Account;
    for _ in 0..MAX_REQUESTS {
        *step = Step::Dial;
        let socket = finder::connect(&url, named_by, dialer).await.map_err(|error| match error {
            // Most domains whose chat server has another name have no web server.
            AccountError::Refused => AccountError::NoWebSocketNamed,
            error => error,
        })?;
        *step = Step::HostMeta;
        let tls = tls.named(&url.address.host)?;
        let io = tls.connect(socket).await.map_err(AccountError::of_web_server)?;
        let answer = request(io, &url).await;
        match answer.map_err(|error| AccountError::io(Step::HostMeta, &error).of_web_server())? {
            Answer::Document(document) => return Ok(Some(document)),
            Answer::Nothing => return Ok(None),
            Answer::Moved(to) => match moved(&url, &to) {
                Some(to) => (url, named_by) = (to, NamedBy::HostMeta),
                None => return Ok(None),
            },
        }
    }
    Ok(None)
}

/// What a web server answers.
enum Answer {
    Document(Vec<u8>),
    Moved(String),
    Nothing,
}

async fn request(io: impl AsyncRead + AsyncWrite + Unpin, url: &Url) -> io::Result<Answer> {
    let mut io = BufReader::new(io);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.path,
        url.authority()
    );
    io.write_all(request.as_bytes()).await?;
    io.flush().await?;
    let head = Head::read(&mut io).await?;
    Ok(match head.status {
        200 => Answer::Document(head.read_body(&mut io).await?),
        301 | 302 | 303 | 307 | 308 => match head.value("location")? {
            Some(place) => Answer::Moved(place.to_owned()),
            None => Answer::Nothing,
        },
        _ => Answer::Nothing,
    })
}

/// Where a redirection from `url` leads, if that is somewhere to go.
fn moved(url: &Url, to: &str) -> Option<Url> {
    url.at(to).or_else(|| Url::https(to))
}

fn in_json(document: &[u8]) -> Option<Url> {
    let document: serde_json::Value = serde_json::from_slice(document).ok()?;
    let links = document.get("links")?.as_array()?.iter();
    let text = |link: &serde_json::Value, key: &str| Some(link.get(key)?.as_str()?.to_owned());
    let wanted = links.filter(|link| text(link, "rel").as_deref() == Some(RELATION));
    first_secure(wanted.filter_map(|link| text(link, "href")))
}

fn in_xml(document: &[u8]) -> Option<Url> {
    let document = document.trim_ascii();
    // A declaration and comments may stand before the element.
    let start = memchr::memmem::find(document, b"<XRD")?;
    let document: Element = parse(&document[start..]).filter(|_| is_cheap(document))?;
    let links =
        document.children().filter(|child| child.is("Link", XRD) && child.attr("rel") == Some(RELATION));
    first_secure(links.filter_map(|link| link.attr("href").map(str::to_owned)))
}

/// The first that is protected by TLS: to which other is dialled does not matter.
fn first_secure(links: impl Iterator<Item = String>) -> Option<Url> {
    links.filter_map(|link| Url::web_socket(&link)).find(|url| url.secure)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    const JSON: &str = r#"{ "links": [
        { "rel": "urn:xmpp:alt-connections:xbosh", "href": "https://web.example/bosh" },
        { "rel": "urn:xmpp:alt-connections:websocket", "href": "ws://web.example:80/ws" },
        { "rel": "urn:xmpp:alt-connections:websocket", "href": "wss://web.example:443/ws", "more": [1] } ] }"#;

    const XML: &str = "<?xml version='1.0' encoding='utf-8'?>\n<!-- ours -->\n\
        <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
        <Subject>x</Subject><Link rel='lrdd' template='y'/>\
        <Link rel='urn:xmpp:alt-connections:websocket' href='ws://web.example/ws'/>\
        <Link rel='urn:xmpp:alt-connections:websocket' href='wss://web.example/ws'/></XRD>\n";

    #[test]
    fn the_websocket_under_tls_is_found_in_either_form() {
        let expected = Url::web_socket("wss://web.example/ws");
        assert_eq!(in_json(JSON.as_bytes()), expected);
        assert_eq!(in_xml(XML.as_bytes()), expected);
    }

    #[test]
    fn a_document_that_names_none_under_tls_is_as_good_as_none() {
        for json in
            ["", "{}", "[]", r#"{"links":{}}"#, r#"{"links":[1,{"rel":1}]}"#, &JSON.replace("wss:", "ws:")]
        {
            assert_eq!(in_json(json.as_bytes()), None, "{json}");
        }
        for xml in [
            "",
            "<XRD/>",
            "<html/>",
            XML.split("</XRD>").next().unwrap(),
            &XML.replace("wss:", "ws:"),
            &XML.replace("xri", "x"),
        ] {
            assert_eq!(in_xml(xml.as_bytes()), None, "{xml}");
        }
    }

    #[test]
    fn a_form_of_the_document_that_makes_no_sense_keeps_nobody_from_the_other() {
        assert_eq!(named(Err(AccountError::Protocol(Step::HostMeta)), in_json), Ok(None));
        assert_eq!(named(Ok(None), in_json), Ok(None));
        assert_eq!(named(Ok(Some(XML.into())), in_xml), Ok(Url::web_socket("wss://web.example/ws")));
        let silent = AccountError::TimedOut(Step::HostMeta);
        assert_eq!(named(Err(silent.clone()), in_json), Err(silent));
    }

    #[test]
    fn a_redirection_leads_to_https_and_nowhere_else() {
        let url = Url::https("https://chat.example/a").unwrap();
        assert_eq!(moved(&url, "/b"), Url::https("https://chat.example/b"));
        assert_eq!(moved(&url, "https://www.chat.example/b"), Url::https("https://www.chat.example/b"));
        for to in ["http://chat.example/b", "//evil.example/b", "b", "", "https://a b/"] {
            assert_eq!(moved(&url, to), None, "{to}");
        }
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused(document in "(<XRD|<Link|/>|>|\\{|\\[|links|\"|:| |rel|=|'){0,20}") {
            let _ = (in_json(document.as_bytes()), in_xml(document.as_bytes()));
        }
    }
}
