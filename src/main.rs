//! The `hexchat-pt` executable: arguments in, exit status out.

use std::process::ExitCode;

fn main() -> ExitCode {
    hexchat_pt::cli::run()
}
