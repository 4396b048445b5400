//! Chat servers' configuration, and Prometheus's: whether those programs take it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hexchat_lab::ejabberd;
use hexchat_lab::ports::free_port;
use hexchat_lab::process::Spawn;

use crate::PATIENCE;
use crate::blocks;
use crate::filling::fill;

/// Where Debian keeps Prosody.
const PROSODY: &str = "/usr/lib/prosody";

/// A whole configuration around a fragment: global options stand before hosts.
fn prosody_with(fragment: &str, folder: &Path) -> String {
    let is_host = |line: &&str| line.starts_with("VirtualHost ") || line.starts_with("Component ");
    let global: Vec<_> = fragment.lines().take_while(|line| !is_host(line)).collect();
    let hosts: Vec<_> = fragment.lines().skip_while(|line| !is_host(line)).collect();
    let host = if fragment.contains("VirtualHost ") { "" } else { "VirtualHost \"chat.example\"\n" };
    let names_modules = fragment.lines().any(|line| line.starts_with("modules_enabled"));
    let modules = if names_modules {
        ""
    } else {
        "modules_enabled = { \"roster\"; \"saslauth\"; \"tls\"; \"limits\" }\n"
    };
    let folder = folder.display();
    format!(
        "{modules}data_path = \"{folder}\"\npidfile = \"{folder}/prosody.pid\"\ncertificates = \"{folder}\"\n{}\n{host}{}\n",
        global.join("\n"),
        hosts.join("\n")
    )
}

#[test]
fn every_fragment_for_prosody_is_sound_and_says_nothing_that_it_does_not_know() {
    let sources = sources(Path::new(PROSODY));
    for block in blocks::in_language("prosody") {
        let folder = tempfile::tempdir().unwrap();
        let text = prosody_with(&fill(&block.text), folder.path());
        let file = folder.path().join("prosody.cfg.lua");
        fs::write(&file, &text).unwrap();
        open_to_all(folder.path());
        let args = ["check", "config"];
        let mut check =
            Spawn::new("prosodyctl", "prosodyctl").arg("--config").arg(&file).args(args).start().unwrap();
        let status = check.wait(PATIENCE).unwrap();
        check.wait_for_end_of_output(PATIENCE).unwrap();
        assert!(status.success(), "{}:\n{text}\n{}", block.place(), check.lines().join("\n"));
        let modules = block
            .text
            .lines()
            .filter(|line| line.starts_with("Component "))
            .filter_map(|line| line.split('"').nth(3));
        let missing: Vec<_> = modules.filter(|module| !is_module(module)).collect();
        assert!(missing.is_empty(), "{}: Prosody has no {missing:?}", block.place());
        let options = options_of(&block.text);
        let unknown: Vec<_> = options.iter().filter(|option| !is_known(option, &sources)).collect();
        assert!(
            !options.is_empty() && unknown.is_empty(),
            "{}: Prosody does not know {unknown:?}",
            block.place()
        );
    }
}

/// Whether Prosody itself has a module of this name.
fn is_module(name: &str) -> bool {
    Path::new(PROSODY).join(format!("modules/mod_{name}.lua")).is_file()
}

/// Prosody names its options in quotes, those of its network settings before `=` or behind a point, and some by the name of the module
/// and a rest.
fn is_known(option: &str, sources: &str) -> bool {
    let is_said = |text: String| sources.contains(&text);
    let of_module = |rest: &str| option.strip_suffix(rest).is_some_and(is_module);
    let rests = option.match_indices('_').map(|(at, _)| &option[at..]);
    is_said(format!("\"{option}\""))
        || is_said(format!("\t{option} = "))
        || [',', ';', ' '].iter().any(|end| is_said(format!(".{option}{end}")))
        || rests.into_iter().any(|rest| is_said(format!("\"{rest}\"")) && of_module(rest))
}

#[test]
fn an_option_with_a_letter_missing_is_not_known_to_prosody() {
    let sources = sources(Path::new(PROSODY));
    for option in ["nagle", "min_wait", "limits", "unlimited_jids", "http_file_share_size_limit"] {
        assert!(is_known(option, &sources), "{option}");
    }
    for option in ["nagl", "unlimitd_jids", "http_file_share_size_limt", "http_fileshare_size_limit"] {
        assert!(!is_known(option, &sources), "{option}");
    }
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// All of Prosody's own programs, in one text.
fn sources(folder: &Path) -> String {
    let entries =
        fs::read_dir(folder).expect("install Debian's package prosody").map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        if path.is_dir() {
            sources(&path)
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            fs::read_to_string(path).unwrap_or_default()
        } else {
            String::new()
        }
    };
    entries.map(read).collect()
}

/// The options that a fragment sets, also within others, without comments.
fn options_of(fragment: &str) -> BTreeSet<String> {
    let code: String =
        fragment.lines().map(|line| line.split("--").next().unwrap_or_default().to_owned() + "\n").collect();
    let names = code.match_indices('=').filter_map(|(at, _)| code[..at].split_whitespace().next_back());
    names.map(|name| name.trim_start_matches('{').to_owned()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_options_of_a_fragment_are_found_in_whatever_depth() {
    let fragment = "network_settings = { nagle = false }  -- a = b\nCmp \"x\"\n    secret = \"y\"\n";
    assert_eq!(options_of(fragment), ["nagle", "network_settings", "secret"].map(str::to_owned).into());
}

#[test]
fn every_fragment_for_ejabberd_is_one_that_it_starts_with() {
    for block in blocks::in_language("ejabberd") {
        let hosts = if block.text.lines().any(|line| line.starts_with("hosts:")) {
            ""
        } else {
            "hosts: [chat.example]\n"
        };
        let config = hosts.to_owned() + &with_free_ports(&fill(&block.text));
        if let Err(error) = ejabberd::start_once(&config) {
            panic!("{}: {error:#}\n{config}", block.place());
        }
    }
}

/// Whoever else runs here may have the usual ports.
fn with_free_ports(config: &str) -> String {
    let with_free_port = |line: &str| match line.split_once("port: ") {
        Some((before, _)) => format!("{before}port: {}\n", free_port().unwrap()),
        None => format!("{line}\n"),
    };
    config.lines().map(with_free_port).collect()
}

#[test]
fn an_ejabberd_does_not_start_with_what_it_does_not_know() {
    let error =
        ejabberd::start_once("hosts: [chat.example]\nshaper_ruls:\n  c2s_shaper: none\n").unwrap_err();
    assert!(format!("{error:#}").contains("shaper_ruls"), "{error:#}");
}

/// It scrapes the address at which the same document has the numbers served.
#[test]
fn what_prometheus_is_told_is_yaml_and_leads_to_the_metrics() {
    for block in blocks::in_language("prometheus") {
        let read =
            ejabberd::read_yaml(&block.text).unwrap_or_else(|error| panic!("{}: {error:#}", block.place()));
        let toml = blocks::in_language("toml");
        let mut served =
            toml.iter().filter(|other| other.document == block.document).flat_map(|other| other.text.lines());
        let address =
            served.find_map(|line| line.strip_prefix("listen = ")).unwrap().trim_matches('"').to_owned();
        assert!(read.contains("scrape_configs") && read.contains(&address), "{address}: {read}");
    }
}
