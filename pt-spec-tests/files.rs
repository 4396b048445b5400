//! Missing files that the configuration names: they cannot come by themselves.

use hexchat_lab::executable;
use hexchat_lab::process::Spawn;

use crate::child::{Launch, PATIENCE, account};
use crate::log::warns;

/// Configurations with a file that cannot be used, the key that names it, and its line.
fn configurations() -> Vec<(String, &'static str, &'static str)> {
    let account = account(1);
    let with_file = account.replace("password = \"x\"", "password_file = \"planted\"");
    let mut all = vec![(with_file, "password_file", "line 3,")];
    for section in [account.clone(), format!("{account}[client]\n")] {
        let line = if section == account { "line 5," } else { "line 6," };
        for path in ["planted", "/proc/planted", "/", "/dev/null"] {
            all.push((format!("{section}ca_file = \"{path}\"\n"), "ca_file", line));
        }
    }
    all
}

fn names(error: &str, key: &str, line: &str) {
    assert!(error.contains(key) && error.contains(line), "{error}");
    assert!(!error.contains("planted"), "{error}");
}

#[test]
fn rows_17_and_39_they_are_method_errors_that_name_the_key_and_the_line() {
    for (config, key, line) in configurations() {
        let client = Launch::client().config(&config).start();
        names(&client.stays_with("CMETHOD-ERROR hexchat "), key, line);
        let bridge = Launch::server().config(&format!("{config}[bridge]\nclassic = true\n")).start();
        names(&bridge.stays_with("SMETHOD-ERROR hexchat "), key, line);
    }
}

#[test]
fn to_a_person_they_are_faults_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hexchat.toml");
    for (config, key, line) in configurations() {
        std::fs::write(&path, &config).unwrap();
        for command in [
            "serve --allow 127.0.0.1:9",
            "forward --listen 127.0.0.1:0 --to b@chat.example --target 127.0.0.1:9",
        ] {
            let mut process = Spawn::new(command, executable(env!("CARGO_BIN_EXE_hexchat-pt")))
                .args(command.split(' '))
                .arg("--config")
                .arg(&path)
                .arg("--state")
                .arg(folder.path().join("state"))
                .clean_env()
                .start()
                .unwrap();
            assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(2), "{command}");
            process.wait_for_end_of_output(PATIENCE).unwrap();
            names(&process.lines().join("\n"), key, line);
        }
    }
}

#[test]
fn a_trace_that_cannot_be_written_is_a_warning_and_stops_nothing() {
    let trace = "[trace]\nfile = \"/proc/none/trace\"\n";
    let client = Launch::client().config(trace).start();
    let bridge = Launch::server().config(&format!("{}{trace}", account(1))).start();
    for (child, method) in [(client, "CMETHOD hexchat "), (bridge, "SMETHOD hexchat ")] {
        child.says(method);
        assert!(warns(&child, "there is no trace").contains("/proc/none/trace"));
    }
}
