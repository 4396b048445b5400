//! The script that puts hexchat-pt into a Tor Browser, on folders laid out as Tor Browser's are.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// As older versions have it, in `Data/Tor`.
const TORRC_DEFAULTS: &str = "\
# torrc-defaults for Tor Browser
AvoidDiskWrites 1
ClientTransportPlugin meek_lite,obfs4,webtunnel exec ./TorBrowser/Tor/PluggableTransports/lyrebird
";

/// As newer versions have it, beside the transports.
const PT_CONFIG: &str = r#"{
  "recommendedDefault" : "obfs4",
  "pluggableTransports" : {
    "lyrebird" : "ClientTransportPlugin meek_lite,obfs4,webtunnel exec ${pt_path}lyrebird${pt_extension}"
  },
  "bridges" : { "obfs4" : ["obfs4 192.0.2.1:443 cert=x iat-mode=0"] }
}
"#;

const OUR_LINE: &str = "ClientTransportPlugin hexchat exec ./TorBrowser/Tor/PluggableTransports/hexchat-pt";

struct TorBrowser {
    folder: TempDir,
}

impl TorBrowser {
    fn new() -> Self {
        let browser = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["Data/Tor", "Tor/PluggableTransports"] {
            fs::create_dir_all(browser.inside(folder)).unwrap();
        }
        browser
    }

    /// A path in `Browser/TorBrowser`.
    fn inside(&self, path: &str) -> PathBuf {
        self.folder.path().join("Browser/TorBrowser").join(path)
    }

    fn with(self, path: &str, content: &str) -> Self {
        fs::write(self.inside(path), content).unwrap();
        self
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.inside(path)).unwrap()
    }

    fn install(&self) -> Output {
        let script = contrib("install");
        Command::new(script).args([Path::new("/bin/true"), self.folder.path()]).output().unwrap()
    }

    fn install_twice(&self) {
        for _ in 0..2 {
            let output = self.install();
            assert!(output.status.success(), "{output:?}");
        }
    }

    fn transports(&self) -> Value {
        let config: Value =
            serde_json::from_str(&self.read("Tor/PluggableTransports/pt_config.json")).unwrap();
        assert_eq!(config["bridges"]["obfs4"][0], "obfs4 192.0.2.1:443 cert=x iat-mode=0");
        config["pluggableTransports"].clone()
    }
}

fn contrib(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/tor-browser").join(file)
}

#[test]
fn the_executable_is_beside_the_other_transports() {
    let browser = TorBrowser::new().with("Data/Tor/torrc-defaults", TORRC_DEFAULTS);
    browser.install_twice();
    let installed = browser.inside("Tor/PluggableTransports/hexchat-pt");
    assert_eq!(fs::read(&installed).unwrap(), fs::read("/bin/true").unwrap());
    assert_eq!(fs::metadata(installed).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn torrc_defaults_gets_one_line_however_often_it_is_run() {
    for path in ["Data/Tor/torrc-defaults", "Tor/torrc-defaults"] {
        let browser = TorBrowser::new().with(path, TORRC_DEFAULTS);
        browser.install_twice();
        assert_eq!(browser.read(path), format!("{TORRC_DEFAULTS}{OUR_LINE}\n"));
    }
}

#[test]
fn pt_config_gets_our_entry_and_keeps_all_others() {
    let in_one_line =
        PT_CONFIG.replace(['\n', ' '], "").replace("ClientTransportPluginmeek", "ClientTransportPlugin meek");
    let in_one_line =
        in_one_line.replace("obfs4192.0.2.1:443cert=xiat-mode=0", "obfs4 192.0.2.1:443 cert=x iat-mode=0");
    for content in [PT_CONFIG, &in_one_line] {
        let browser = TorBrowser::new().with("Tor/PluggableTransports/pt_config.json", content);
        browser.install_twice();
        let transports = browser.transports();
        let fragment: Value =
            serde_json::from_str(&fs::read_to_string(contrib("pt_config.json")).unwrap()).unwrap();
        assert_eq!(transports["hexchat"], fragment["pluggableTransports"]["hexchat"]);
        assert!(transports["lyrebird"].is_string(), "{transports}");
    }
}

#[test]
fn tor_accepts_a_bridge_of_ours_with_what_was_written() {
    let browser = TorBrowser::new().with("Data/Tor/torrc-defaults", TORRC_DEFAULTS).with(
        "Data/Tor/torrc",
        "UseBridges 1\nBridge hexchat [2001:db8::3]:443 jid=bridge@chat.example/r login=alice@chat.example:secret\n",
    );
    browser.install_twice();
    let output = Command::new("tor")
        .args([
            "--verify-config",
            "--defaults-torrc",
            "TorBrowser/Data/Tor/torrc-defaults",
            "-f",
            "TorBrowser/Data/Tor/torrc",
        ])
        .args(["--DataDirectory", "TorBrowser/Data/Tor"])
        .current_dir(browser.folder.path().join("Browser"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_folder_that_is_none_of_tor_browsers_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(contrib("install")).args([Path::new("/bin/true"), folder.path()]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not there"), "{output:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_tor_browser_without_either_file_is_said_to_be_unknown() {
    let output = TorBrowser::new().install();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("neither"), "{output:?}");
}
