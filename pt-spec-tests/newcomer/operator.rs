//! Mistakes of who runs a bridge.

use super::{EXAMPLE_KEY, as_nobody, logs, method_error};
use crate::chat_server::ChatServer;
use crate::child::{Launch, account};
use crate::socks::replies::refusing;

fn bridge(config: &str) -> Launch {
    Launch::server().config(config)
}

#[test]
fn a_key_that_does_not_exist_is_asked_about() {
    for (config, words) in [
        (
            "[[acount]]\njid = \"b@chat.example\"\n",
            "given.toml, line 1, column 3: acount: there is no such key; did you mean account?",
        ),
        (
            "[[account]]\npasswd = \"x\"\n",
            "given.toml, line 2, column 1: [[account]] passwd: there is no such key; did you mean password?",
        ),
        ("[bridge]\nclasic = true\n", "[bridge] clasic: there is no such key; did you mean classic?"),
    ] {
        let error = method_error(bridge(config));
        assert!(error.contains(words), "{error}");
    }
    let launch = Launch::server().set("TOR_PT_SERVER_TRANSPORT_OPTIONS", "hexchat:clasic=true");
    let error = method_error(launch);
    assert!(
        error.contains("ServerTransportOptions hexchat: clasic: there is no such key; did you mean classic?"),
        "{error}"
    );
}

#[test]
fn a_secret_below_an_account_is_sent_to_its_section() {
    let error = method_error(bridge(&format!("{}psk = \"x\"\n", account(1))));
    let words = "[[account]] psk: there is no such key here: it belongs to [bridge], for a bridge of yours, or to [client], for one that you use";
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_secret_that_is_none_and_one_that_is_too_short_name_the_command_that_makes_one() {
    for (psk, words) in [
        (EXAMPLE_KEY, "[bridge] psk: is no secret: it is that of an example, or one byte all over"),
        ("short", "[bridge] psk: must be 43 characters of base64url without padding (32 bytes)"),
    ] {
        let error = method_error(bridge(&format!("{}[bridge]\npsk = \"{psk}\"\n", account(1))));
        assert!(error.contains(words) && error.contains("`hexchat-pt gen-psk` prints"), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_as_whom() {
    let launch = bridge(&account(1)).wrapped(as_nobody());
    let error = method_error(launch);
    assert!(
        error.contains("given.toml: the file cannot be read: permission denied; this process runs as "),
        "{error}"
    );
}

#[test]
fn an_option_of_torrc_with_one_hyphen_is_named_whole() {
    for launch in [Launch::client(), Launch::server()] {
        let error = method_error(launch.args(&["-config", "/etc/planted"]));
        assert!(
            error.contains("the arguments in torrc: there is no option -config; did you mean --config?"),
            "{error}"
        );
        assert!(!error.contains("planted"), "{error}");
    }
}

#[test]
fn a_wrong_password_in_the_file_says_what_to_restart() {
    let server = refusing("<not-authorized/>");
    let config = account(server.address().port()) + "tls = \"none\"\n";
    let child = bridge(&config).start();
    logs(
        &child,
        "account 1 cannot be used: logging in at the chat server: wrong user name or password; correct the login; not trying again, because \
         servers lock accounts that do; once the file is corrected, restart tor, or this program if tor does not run it",
    );
}

#[test]
fn an_account_is_called_by_its_place_in_the_file() {
    let refusing = refusing("<not-authorized/>");
    // The first one takes its time.
    let silent = ChatServer::start(|client| client.wait());
    let section = |user: &str, server: &ChatServer| {
        let port = server.address().port();
        format!(
            "[[account]]\njid = \"{user}@chat.example\"\npassword = \"x\"\nserver = \"127.0.0.1:{port}\"\ntls = \"none\"\n"
        )
    };
    let config = section("one", &silent) + &section("two", &silent) + &section("three", &refusing);
    let child = bridge(&config).start();
    logs(&child, "account 3 cannot be used: logging in");
}

#[test]
fn direct_tls_to_a_server_that_has_none_names_the_ports() {
    let config = account(hexchat_lab::ports::free_port().unwrap()) + "tls = \"direct\"\n";
    let child = bridge(&config).start();
    logs(
        &child,
        "dialling the chat server: connection refused; check that the chat server runs, and `server` with its port",
    );
    logs(&child, "5222, or 5223 for `tls =");
}

#[test]
fn a_bridge_whose_state_was_lost_says_that_old_lines_are_dead() {
    let launch = Launch::server().config(&account(1));
    let state = launch.state().join("pt_state");
    let child = launch.start();
    logs(
        &child,
        "this bridge has a new key, since its state directory had none: bridge lines of an earlier one do not work any more",
    );
    assert!(state.join("hexchat_bridgeline.txt").exists());
}
