//! Builds the management UI with npm and gives its files, compressed, to `src/management/ui.rs`.
//!
//! A machine without npm builds the broker all the same, and so does a program that embeds it without
//! the feature `admin-ui`: then there are no files, and a reason, which the broker's front page tells.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let (source, built) = (Path::new(&root).join("admin-ui"), Path::new(&out).join("admin-ui"));
    for input in ["src", "build.mjs", "package.json", "package-lock.json"] {
        println!("cargo::rerun-if-changed=admin-ui/{input}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let (files, missing) = match build(&source, &built) {
        Ok(files) => (files, String::new()),
        Err(reason) => {
            println!("cargo::warning=the management UI is left out: {reason}");
            // What is not there has always changed: the next build tries again.
            println!("cargo::rerun-if-changed=admin-ui/dist/there-is-no-such-file");
            (Vec::new(), reason)
        }
    };
    let mut code =
        format!("const MISSING: &str = {missing:?};\nconst FILES: &[(&str, &[u8])] = &[\n");
    for name in files {
        let path = built.join(format!("{name}.gz"));
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),").expect("a String takes it all");
    }
    code.push_str("];\n");
    fs::write(Path::new(&out).join("admin_ui.rs"), code).expect("the output directory is writable");
}

/// The names of the files.
fn build(source: &Path, out: &Path) -> Result<Vec<String>, String> {
    if env::var_os("CARGO_FEATURE_ADMIN_UI").is_none() {
        return Err("the feature `admin-ui` is off".to_owned());
    }
    if !source.join("package.json").exists() {
        return Err("its sources are not there".to_owned());
    }
    if !is_installed(source) {
        npm(source, &["ci", "--omit=dev", "--no-audit", "--no-fund"])?;
    }
    let out_text = out.to_str().ok_or("the output directory has no UTF-8 name")?;
    npm(source, &["run", "build", "--", out_text])?;
    let names = fs::read_to_string(out.join("files.txt"))
        .map_err(|error| format!("its build made no list of files: {error}"))?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// Whether `node_modules` is what the lock file wants.
fn is_installed(source: &Path) -> bool {
    let changed = |name| fs::metadata(source.join(name)).and_then(|meta| meta.modified()).ok();
    let installed = changed("node_modules/.package-lock.json");
    installed.is_some() && installed >= changed("package-lock.json")
}

fn npm(directory: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").args(arguments).current_dir(directory).output();
    let output = output.map_err(|error| format!("npm cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.trim().lines().last().unwrap_or_default();
            Err(format!("npm {} failed: {last}", arguments[0]))
        }
    }
}
