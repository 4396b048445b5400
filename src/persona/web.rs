//! Names of the programs that talk to web servers: slixmpp, and the library that it does so with.

/// Who puts files at an upload service: slixmpp's plugin for XEP-0363, in the version that Debian 12 ships.
pub const UPLOADER: &str = "slixmpp 1.8.3";

/// Who fetches them. slixmpp has no plugin for that, and so it is the library that it uses, by its own name there.
pub const DOWNLOADER: &str = "Python/3.11 aiohttp/3.8.4";
