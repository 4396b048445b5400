//! Upload service of a server (XEP-0363 section 4): how it says that it is one.

use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

/// The field of the service's form with the size of the largest file.
const MAX_FILE_SIZE: &str = "max-file-size";

/// A service that takes files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Whom to ask for slots.
    pub jid: Jid,
    /// The largest file that it takes, in bytes, if it says so.
    pub max_file_size: Option<u64>,
}

impl Service {
    /// The one at `jid`, if what it says of itself is that it stores files and has the feature.
    pub(in crate::carrier) fn of(jid: &Jid, info: &Element) -> Option<Self> {
        is_service(info).then(|| Self { jid: jid.clone(), max_file_size: max_file_size(info) })
    }
}

fn is_service(info: &Element) -> bool {
    let is_store = |child: &Element| {
        child.is("identity", ns::DISCO_INFO)
            && (child.attr("category"), child.attr("type")) == (Some("store"), Some("file"))
    };
    let is_upload =
        |child: &Element| child.is("feature", ns::DISCO_INFO) && child.attr("var") == Some(ns::HTTP_UPLOAD);
    info.children().any(is_store) && info.children().any(is_upload)
}

/// The limit in the form of the service; other forms are about other things.
fn max_file_size(info: &Element) -> Option<u64> {
    let forms = info.children().filter(|child| child.is("x", ns::DATA_FORMS));
    let mut ours = forms.filter(|form| value(form, "FORM_TYPE").as_deref() == Some(ns::HTTP_UPLOAD));
    ours.find_map(|form| value(form, MAX_FILE_SIZE))?.trim().parse().ok()
}

fn value(form: &Element, var: &str) -> Option<String> {
    let is_it = |child: &&Element| child.is("field", ns::DATA_FORMS) && child.attr("var") == Some(var);
    form.children().find(is_it)?.get_child("value", ns::DATA_FORMS).map(Element::text)
}
