//! The `hexchat-pt` executable: arguments in, exit status out.

fn main() {}
