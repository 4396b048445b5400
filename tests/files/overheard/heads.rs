//! Heads of requests: what was asked of an upload service, by HTTP and by stanzas. Pure.

use memchr::memmem;

use super::text;

/// A request by HTTP.
#[derive(Debug)]
pub(super) struct Request {
    /// Whether the client has made it, and not the bridge.
    pub(super) is_client: bool,
    pub(super) method: String,
    pub(super) path: String,
    /// In the order in which they came.
    pub(super) fields: Vec<(String, String)>,
    /// As much of it as has come.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// All that came over one connection, one after the other.
    pub(super) fn all_of(mut said: &[u8], is_client: bool) -> Vec<Self> {
        let mut requests = Vec::new();
        while !said.is_empty() {
            let end = memmem::find(said, b"\r\n\r\n").expect("the end of a head");
            let head = std::str::from_utf8(&said[..end]).expect("a head of text");
            let mut request = Self::of_head(head, is_client);
            said = &said[end + 4..];
            let length = request.field("Content-Length").parse().unwrap_or(0);
            let (body, rest) = said.split_at(said.len().min(length));
            (request.body, said) = (body.to_vec(), rest);
            requests.push(request);
        }
        requests
    }

    fn of_head(head: &str, is_client: bool) -> Self {
        let mut lines = head.split("\r\n");
        let words: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, path, "HTTP/1.1"] = words[..] else { panic!("{words:?} is no request") };
        let fields = lines.map(|line| line.split_once(": ").expect("a field of a head"));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { is_client, method, path, fields, body: Vec::new() }
    }

    /// Whether it puts a file.
    pub(super) fn is_put(&self) -> bool {
        self.method == "PUT"
    }

    /// The value of a field, or nothing.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A request for a slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SlotRequest {
    pub(super) filename: String,
    pub(super) size: usize,
    pub(super) content_type: String,
}

/// Those in the text of what a client has said.
pub(super) fn slot_requests(text: &str) -> Vec<SlotRequest> {
    let tags = text.split('<').filter_map(|part| part.split_once('>')).map(|(tag, _)| tag);
    let requests = tags.filter(|tag| tag.starts_with("request ") && tag.contains("urn:xmpp:http:upload:0"));
    requests
        .map(|tag| {
            let value = |name| text::attributes(tag, name).concat();
            let (filename, content_type) = (value("filename"), value("content-type"));
            SlotRequest { filename, size: value("size").parse().unwrap(), content_type }
        })
        .collect()
}

#[test]
fn requests_come_one_after_the_other_and_the_last_may_be_broken_off() {
    let said =
        b"PUT /a HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabcGET /d HTTP/1.1\r\nHost: b\r\n\r\n\
                 PUT /e HTTP/1.1\r\nContent-Length: 9\r\n\r\nab";
    let requests = Request::all_of(said, true);
    let read =
        |one: &Request| (one.is_put(), one.path.clone(), one.field("Host").to_owned(), one.body.clone());
    let expected = [(true, "/a", "b", "abc"), (false, "/d", "b", ""), (true, "/e", "", "ab")];
    let expected = expected.map(|(is_put, path, host, body)| (is_put, path.into(), host.into(), body.into()));
    assert_eq!(requests.iter().map(read).collect::<Vec<_>>(), expected);
}

#[test]
fn a_request_for_a_slot_is_read_as_it_is_written() {
    let text = "<iq id='1'><request xmlns='urn:xmpp:http:upload:0' content-type='image/jpeg' filename='a.jpg' size='9'/></iq>";
    let [SlotRequest { filename, size: 9, content_type }] = &slot_requests(text)[..] else {
        panic!("{text}")
    };
    assert_eq!((filename.as_str(), content_type.as_str()), ("a.jpg", "image/jpeg"));
}
