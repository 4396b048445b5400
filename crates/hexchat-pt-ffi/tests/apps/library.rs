//! Library: what Cargo has built of this crate, and what is made of it for apps.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use uniffi::{GenerateOptions, TargetLanguage, generate};

/// The variable that names another library to test, such as the one that was built for release.
const OTHER: &str = "HEXCHAT_PT_FFI";

const NAME: &str = "libhexchat_pt_ffi.so";

/// The library that apps load.
pub(crate) fn shared() -> PathBuf {
    env::var_os(OTHER).map_or_else(|| built().join(NAME), PathBuf::from)
}

/// The folder of what Cargo has built for this test.
fn built() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The executable of the transport, which Cargo builds for the tests of the workspace.
pub(crate) fn executable() -> PathBuf {
    let executable = hexchat_lab::executable(built().parent().unwrap().join("hexchat-pt"));
    assert!(executable.exists(), "build the bridge first: cargo build --locked");
    executable
}

/// Writes bindings for Python into a folder, beside the library itself.
pub(crate) fn python_bindings(folder: &Path) {
    let (source, out_dir) = (text(&shared()).into(), text(folder).into());
    let languages = vec![TargetLanguage::Python];
    generate(GenerateOptions { languages, source, out_dir, ..Default::default() }).unwrap();
    std::os::unix::fs::symlink(shared(), folder.join(NAME)).unwrap();
}

/// How an app in C is given the library.
#[derive(Clone, Copy)]
pub(crate) enum Link {
    Shared,
    Static,
}

/// Compiles the app in C.
pub(crate) fn compile(folder: &Path, link: Link) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let app = folder.join("app");
    let library: Vec<OsString> = match link {
        Link::Shared => {
            let rpath = format!("-Wl,-rpath,{}", shared().parent().unwrap().display());
            vec![shared().into(), rpath.into()]
        }
        Link::Static => {
            vec![built().join("libhexchat_pt_ffi.a").into(), "-lpthread".into(), "-ldl".into(), "-lm".into()]
        }
    };
    let compiled = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-I"])
        .arg(here.join("include"))
        .arg(here.join("tests/apps/app.c"))
        .args(library)
        .arg("-o")
        .arg(&app)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    app
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
