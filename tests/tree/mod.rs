//! The files of this repository, for tests that look at them.

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file: its path from the root, and what is in it.
pub struct Text {
    pub path: String,
    pub text: String,
}

/// All text files that somebody wrote, in the order of their paths.
pub fn texts() -> Vec<Text> {
    let mut paths = Vec::new();
    collect(root(), &mut paths);
    paths.sort();
    paths.into_iter().filter_map(read).collect()
}

/// The manifests of all crates, as tables.
pub fn manifests() -> Vec<(String, toml::Table)> {
    let is_manifest = |text: &Text| text.path.ends_with("Cargo.toml");
    let manifests = texts().into_iter().filter(is_manifest);
    manifests.map(|Text { path, text }| (path, text.parse().expect("cargo reads it too"))).collect()
}

/// Whether a folder holds what is made, installed or stored here, and not what somebody wrote.
pub fn is_generated(folder: &str) -> bool {
    const NAMES: [&str; 6] =
        ["target", "data", "node_modules", ".venv", "__pycache__", ".pytest_cache"];
    NAMES.contains(&folder)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the repository can be read");
    for entry in entries.filter_map(Result::ok) {
        let Ok(kind) = entry.file_type() else { continue };
        let name = entry.file_name();
        if kind.is_file() {
            paths.push(entry.path());
        } else if kind.is_dir() && name != ".git" && !is_generated(&name.to_string_lossy()) {
            collect(&entry.path(), paths);
        }
    }
}

/// `None` for what is no text, or is gone by now.
fn read(path: PathBuf) -> Option<Text> {
    let text = std::fs::read_to_string(&path).ok()?;
    let path = path.strip_prefix(root()).expect("it was found there").to_string_lossy().into();
    Some(Text { path, text })
}
