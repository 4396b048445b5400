//! Map of the secure core.

use super::Map;

/// The rooms of the secure core, top to bottom, and what each may use of the others.
pub(crate) const SECURE: Map = &[
    (
        "endpoint",
        &[
            "session",
            "shared",
            "accounts",
            "path",
            "streams",
            "budget",
            "api",
            "ids",
            "delivery",
            "client_tag",
            "crypto",
            "wire",
        ],
    ),
    (
        "session",
        &[
            "shared",
            "accounts",
            "path",
            "streams",
            "budget",
            "api",
            "ids",
            "delivery",
            "sizes",
            "client_tag",
            "crypto",
            "wire",
            "tuning",
        ],
    ),
    ("shared", &["accounts", "path", "streams", "budget", "api", "ids", "delivery", "client_tag", "crypto"]),
    ("accounts", &["path", "budget", "api", "ids", "delivery", "sizes", "client_tag", "crypto", "tuning"]),
    ("path", &["api", "ids", "delivery", "sizes", "client_tag", "crypto", "tuning"]),
    ("streams", &["budget", "wire", "tuning"]),
    ("budget", &[]),
    ("api", &["ids", "delivery", "sizes", "crypto"]),
    ("ids", &["client_tag"]),
    ("delivery", &["crypto"]),
    ("client_tag", &["crypto"]),
    ("crypto", &[]),
    ("wire", &[]),
    ("sizes", &[]),
    ("tuning", &[]),
];
