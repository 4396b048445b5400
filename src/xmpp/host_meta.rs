//! Host-meta of a domain: where it says that its WebSocket is (XEP-0156, RFC 6415).
//!
//! It is asked for over HTTPS, with a certificate of the domain. That is what makes it the domain's own word, so that the host that it
//! names, whatever its name, is to be trusted as the domain itself (XEP-0156 section 3.3): a certificate of that host is all that it has
//! to show. So nothing is taken from anywhere but HTTPS, neither a redirection nor a WebSocket.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use xmpp_parsers::minidom::Element;

use super::dialer::Dialer;
use super::error::{AccountError, NamedBy, Step, WebServerFault};
use super::finder;
use super::http::{Head, HttpFault};
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

/// Reads the link out of a document, which need not have one; or there is something else than a host-meta.
type Reader = fn(&[u8]) -> Result<Option<Url>, WebServerFault>;

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
    let mut names_none = false;
    let mut fault = None;
    for (path, read) in DOCUMENTS {
        let url = Url::https(&format!("https://{host}{path}")).ok_or(AccountError::NoWebSocketNamed)?;
        match named(get(url, tls, dialer, step).await, read)? {
            Form::Names(url) => return Ok(url),
            Form::NamesNone => names_none = true,
            Form::Absent => {}
            Form::Faulty(first) => fault = fault.or(Some(first)),
        }
    }
    let fault = fault.filter(|_| !names_none);
    Err(fault.map_or(AccountError::NoWebSocketNamed, AccountError::WebServer))
}

/// What there is where one form of the document should be.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Names(Url),
    /// It is there, and names no WebSocket.
    NamesNone,
    /// Nothing: a domain need not have both.
    Absent,
    /// Something else, which keeps nobody from the other form.
    Faulty(WebServerFault),
}

fn named(document: Result<Option<Vec<u8>>, AccountError>, read: Reader) -> Result<Form, AccountError> {
    match document {
        Ok(None) => Ok(Form::Absent),
        Ok(Some(document)) => Ok(match read(&document) {
            Ok(Some(url)) => Form::Names(url),
            Ok(None) => Form::NamesNone,
            Err(fault) => Form::Faulty(fault),
        }),
        Err(AccountError::WebServer(fault)) if fault.is_of_document() => Ok(Form::Faulty(fault)),
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
    let mut moved_by = None;
    let mut requests = 0;
    loop {
        *step = Step::Dial;
        let socket = finder::connect(&url, NamedBy::Account, dialer).await;
        let socket = socket.map_err(|error| match (error, moved_by) {
            // It is moved to where nobody is.
            (
                AccountError::NoAddress(_) | AccountError::OnionWithoutProxy | AccountError::Refused,
                Some(status),
            ) => status_fault(status),
            // Most domains whose chat server has another name have no web server.
            (AccountError::Refused, None) => AccountError::NoWebSocketNamed,
            (error, _) => error,
        })?;
        *step = Step::HostMeta;
        let tls = tls.named(&url.address.host)?;
        let io = tls.connect(socket).await.map_err(AccountError::of_web_server)?;
        requests += 1;
        match request(io, &url).await.map_err(|error| fault(&error))? {
            Answer::Document(document) => return Ok(Some(document)),
            Answer::Nothing => return Ok(None),
            Answer::Moved(status, to) => {
                let to = moved(&url, &to).filter(|_| requests < MAX_REQUESTS);
                (url, moved_by) = (to.ok_or_else(|| status_fault(status))?, Some(status));
            }
            Answer::Status(status) => return Err(status_fault(status)),
        }
    }
}

/// A web server answers with this, and no document.
fn status_fault(status: u16) -> AccountError {
    AccountError::WebServer(WebServerFault::Status(status))
}

/// What a web server answers.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Document(Vec<u8>),
    /// By this status, to this place.
    Moved(u16, String),
    /// There is no such document.
    Nothing,
    /// This status, and no document.
    Status(u16),
}

/// What has gone wrong with a request.
fn fault(error: &io::Error) -> AccountError {
    match HttpFault::of(error) {
        Some(HttpFault::Nonsense) => AccountError::WebServer(WebServerFault::NotHttp),
        Some(HttpFault::TooLong) => AccountError::WebServer(WebServerFault::TooLong),
        None => AccountError::io(Step::HostMeta, error).of_web_server(),
    }
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
        status @ (301 | 302 | 303 | 307 | 308) => match head.value("location")? {
            Some(place) => Answer::Moved(status, place.to_owned()),
            None => Answer::Status(status),
        },
        404 | 410 => Answer::Nothing,
        status => Answer::Status(status),
    })
}

/// Where a redirection from `url` leads, if that is somewhere to go.
fn moved(url: &Url, to: &str) -> Option<Url> {
    url.at(to).or_else(|| Url::https(to))
}

fn in_json(document: &[u8]) -> Result<Option<Url>, WebServerFault> {
    let document = serde_json::from_slice(document).ok().filter(Value::is_object);
    let document: Value = document.ok_or(WebServerFault::Unreadable)?;
    let links = document.get("links").and_then(Value::as_array).into_iter().flatten();
    let text = |link: &Value, key: &str| Some(link.get(key)?.as_str()?.to_owned());
    let wanted = links.filter(|link| text(link, "rel").as_deref() == Some(RELATION));
    Ok(first_secure(wanted.filter_map(|link| text(link, "href"))))
}

fn in_xml(document: &[u8]) -> Result<Option<Url>, WebServerFault> {
    let document = xrd(document).ok_or(WebServerFault::Unreadable)?;
    let links =
        document.children().filter(|child| child.is("Link", XRD) && child.attr("rel") == Some(RELATION));
    Ok(first_secure(links.filter_map(|link| link.attr("href").map(str::to_owned))))
}

/// The element that a document in XML is made of.
fn xrd(document: &[u8]) -> Option<Element> {
    let document = document.trim_ascii();
    // A declaration and comments may stand before the element.
    let start = memchr::memmem::find(document, b"<XRD")?;
    parse(&document[start..]).filter(|element: &Element| is_cheap(document) && element.is("XRD", XRD))
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
        assert_eq!(in_json(JSON.as_bytes()), Ok(expected.clone()));
        assert_eq!(in_xml(XML.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_document_may_name_none_under_tls() {
        for json in ["{}", r#"{"links":{}}"#, r#"{"links":[1,{"rel":1}]}"#, &JSON.replace("wss:", "ws:")] {
            assert_eq!(in_json(json.as_bytes()), Ok(None), "{json}");
        }
        assert_eq!(in_xml(XML.replace("wss:", "ws:").as_bytes()), Ok(None));
    }

    #[test]
    fn what_is_no_host_meta_is_said_to_be_none() {
        for json in ["", "[]", "{nope", "<html></html>", XML] {
            assert_eq!(in_json(json.as_bytes()), Err(WebServerFault::Unreadable), "{json}");
        }
        let cut = XML.split("</XRD>").next().unwrap();
        for xml in ["", "<XRD/>", "<html/>", cut, &XML.replace("xri", "x"), JSON] {
            assert_eq!(in_xml(xml.as_bytes()), Err(WebServerFault::Unreadable), "{xml}");
        }
    }

    #[test]
    fn what_stands_in_the_place_of_one_form_of_the_document_keeps_nobody_from_the_other() {
        for fault in [WebServerFault::Status(403), WebServerFault::NotHttp, WebServerFault::TooLong] {
            assert_eq!(named(Err(AccountError::WebServer(fault)), in_json), Ok(Form::Faulty(fault)));
        }
        assert_eq!(named(Ok(Some(b"?".into())), in_json), Ok(Form::Faulty(WebServerFault::Unreadable)));
        assert_eq!(named(Ok(None), in_json), Ok(Form::Absent));
        assert_eq!(named(Ok(Some(b"{}".into())), in_json), Ok(Form::NamesNone));
        let url = Url::web_socket("wss://web.example/ws").unwrap();
        assert_eq!(named(Ok(Some(XML.into())), in_xml), Ok(Form::Names(url)));
    }

    #[test]
    fn a_web_server_that_is_silent_or_has_had_too_much_is_not_asked_for_the_other_form() {
        for error in [AccountError::TimedOut(Step::HostMeta), status_fault(429)] {
            assert_eq!(named(Err(error.clone()), in_json), Err(error));
        }
    }

    /// What is made of this response.
    async fn answered(response: &str) -> Result<Answer, AccountError> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(response.as_bytes()).await.unwrap();
        far.shutdown().await.unwrap();
        let url = Url::https("https://chat.example/").unwrap();
        request(near, &url).await.map_err(|error| fault(&error))
    }

    #[tokio::test]
    async fn a_web_server_that_has_no_such_document_is_told_from_one_that_does_not_show_it() {
        let at = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(answered(&at("200 OK")).await, Ok(Answer::Document(b"{}".into())));
        for status in [404, 410] {
            assert_eq!(answered(&at(&format!("{status} x"))).await, Ok(Answer::Nothing));
        }
        for status in [302, 401, 403, 429, 500, 503] {
            assert_eq!(answered(&at(&format!("{status} x"))).await, Ok(Answer::Status(status)));
        }
        let elsewhere = at("301 x\r\nLocation: /a");
        assert_eq!(answered(&elsewhere).await, Ok(Answer::Moved(301, "/a".to_owned())));
    }

    #[tokio::test]
    async fn what_is_no_http_is_told_from_what_goes_on_and_on_and_from_an_end() {
        let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000));
        let web_server = |fault| Err(AccountError::WebServer(fault));
        assert_eq!(answered("SSH-2.0-x\r\n").await, web_server(WebServerFault::NotHttp));
        assert_eq!(answered(&long).await, web_server(WebServerFault::TooLong));
        assert_eq!(answered("").await, Err(AccountError::Closed(Step::HostMeta)));
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
