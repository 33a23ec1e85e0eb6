//! Dependencies point down, never up and never sideways; and the files stay small. Each rule is a
//! function from what is in the repository to what is wrong with it, with a test on a bad input.

mod tree;

use std::process::Command;

use regex::Regex;
use toml::Table;
use tree::Text;

/// Crates that know no socket, clock, thread or random number, nor each other.
const PURE: [&str; 3] = ["core", "protocols/amqp", "protocols/mqtt"];

/// What pure crates may depend on.
const PURE_DEPENDENCIES: [&str; 8] =
    ["bytes", "foldhash", "hashbrown", "regex", "serde", "serde_json", "smallvec", "thiserror"];

/// The only places of the server that know protocols.
const FRONTENDS: [&str; 2] = ["src/server/frontend/", "src/management/"];

/// The longest source file.
const LINES_MAX: usize = 500;

#[test]
fn pure_crates_depend_on_data_structures_only() {
    let manifests = tree::manifests();
    for folder in PURE {
        let path = format!("{folder}/Cargo.toml");
        let (_, manifest) = manifests.iter().find(|(known, _)| *known == path).unwrap();
        assert_eq!(impure_dependencies(manifest), [""; 0], "{path}");
    }
}

#[test]
fn pure_crates_name_no_socket_clock_thread_or_random_number() {
    let texts = tree::texts();
    for folder in PURE {
        let sources = sources_in(&texts, &format!("{folder}/src/"));
        assert!(!sources.is_empty(), "{folder}");
        for source in sources {
            assert_eq!(impurities(&source.text), [""; 0], "{}", source.path);
        }
    }
}

#[test]
fn storage_depends_on_the_core_and_on_no_other_layer() {
    let manifests = tree::manifests();
    let (_, manifest) = manifests.iter().find(|(path, _)| path == "storage/Cargo.toml").unwrap();
    assert_eq!(layers(manifest), ["leveret-core"]);
}

#[test]
fn the_command_line_tool_is_built_without_the_broker() {
    let manifests = tree::manifests();
    let (_, manifest) = manifests.iter().find(|(path, _)| path == "ctl/Cargo.toml").unwrap();
    assert!(!dependencies(manifest).into_iter().any(is_layer));
}

#[test]
fn the_load_generator_is_built_without_the_broker() {
    let manifests = tree::manifests();
    let (_, manifest) = manifests.iter().find(|(path, _)| path == "bench/Cargo.toml").unwrap();
    assert_eq!(layers(manifest), [""; 0]);
}

#[test]
fn only_frontends_and_management_name_protocols() {
    let texts = tree::texts();
    let sources = sources_in(&texts, "src/");
    let naming: Vec<_> = sources.iter().filter(|source| names_protocol(&source.text)).collect();
    assert!(!naming.is_empty(), "nobody speaks a protocol");
    for source in naming {
        let may = FRONTENDS.iter().any(|folder| source.path.starts_with(folder));
        assert!(may, "{} names a protocol", source.path);
    }
}

#[test]
fn no_source_file_is_longer_than_500_lines() {
    let texts = tree::texts();
    let long: Vec<_> = texts.iter().filter(|file| is_too_long(file)).map(|f| &f.path).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn nothing_leads_out_of_the_repository() {
    let texts = tree::texts();
    let leading: Vec<_> = texts.iter().filter(|f| leads_out(&f.text)).map(|f| &f.path).collect();
    assert!(leading.is_empty(), "{leading:?}");
}

#[test]
fn nothing_that_is_generated_is_tracked() {
    let listed = Command::new("git").arg("ls-files").current_dir(tree::root()).output();
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    assert_eq!(generated(&listed).next(), None);
}

/// Dependencies that a pure crate may not have. What its tests use is their own business, as long as
/// it is no other layer.
fn impure_dependencies(manifest: &Table) -> Vec<&str> {
    let allowed = |name: &&str| PURE_DEPENDENCIES.contains(name);
    let mut found: Vec<&str> =
        dependencies(manifest).into_iter().filter(|name| !allowed(name)).collect();
    found.extend(names(manifest.get("dev-dependencies")).filter(|name| is_layer(name)));
    found
}

/// The crates of this repository that one depends on, apart from itself.
fn layers(manifest: &Table) -> Vec<&str> {
    let own = manifest["package"]["name"].as_str().unwrap_or_default();
    let mut found = dependencies(manifest);
    found.extend(names(manifest.get("dev-dependencies")));
    found.retain(|name| is_layer(name) && *name != own);
    found.sort_unstable();
    found.dedup();
    found
}

fn is_layer(name: &str) -> bool {
    name.starts_with("leveret")
}

/// What a crate is built with, on any platform.
fn dependencies(manifest: &Table) -> Vec<&str> {
    const KINDS: [&str; 2] = ["dependencies", "build-dependencies"];
    let platforms = manifest.get("target").and_then(|target| target.as_table());
    let tables =
        platforms.into_iter().flat_map(|targets| targets.values()).filter_map(|t| t.as_table());
    let tables = std::iter::once(manifest).chain(tables);
    tables.flat_map(|table| KINDS.into_iter().flat_map(|kind| names(table.get(kind)))).collect()
}

/// The crates in a table of dependencies, by the names that they have in the registry.
fn names(dependencies: Option<&toml::Value>) -> impl Iterator<Item = &str> {
    let table = dependencies.and_then(|dependencies| dependencies.as_table());
    table.into_iter().flatten().map(|(key, value)| {
        value.get("package").and_then(|package| package.as_str()).unwrap_or(key)
    })
}

/// What a source names that bytes and time as arguments cannot stand for. Comments and unit tests
/// do not count.
fn impurities(source: &str) -> Vec<&str> {
    let forbidden = Regex::new(
        r"(?x)
        \b(tokio|mio|rand|getrandom|leveret_\w+)::
        | \bstd::(net|thread|fs|env|process|os)\b
        | \bstd::\{[^}]*\b(net|thread|fs|env|process|os)\b
        | \b(Instant|SystemTime)::now\b
        | \bUNIX_EPOCH\b | \b(TcpStream|TcpListener|UdpSocket)\b",
    )
    .expect("it is tested");
    let tests = source.find("#[cfg(test)]\nmod ").unwrap_or(source.len());
    let code = source[..tests].lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found: Vec<&str> =
        code.flat_map(|line| forbidden.find_iter(line)).map(|found| found.as_str()).collect();
    // A crate names itself in its examples only, and those are comments.
    found.dedup();
    found
}

fn names_protocol(source: &str) -> bool {
    ["leveret_amqp", "leveret_mqtt"].iter().any(|name| source.contains(name))
}

fn sources_in<'a>(texts: &'a [Text], folder: &str) -> Vec<&'a Text> {
    let is_source = |file: &&Text| file.path.starts_with(folder) && file.path.ends_with(".rs");
    texts.iter().filter(is_source).collect()
}

fn is_too_long(file: &Text) -> bool {
    const ENDINGS: [&str; 8] = [".rs", ".py", ".ts", ".tsx", ".js", ".mjs", ".sh", ".css"];
    ENDINGS.iter().any(|ending| file.path.ends_with(ending))
        && file.text.lines().count() > LINES_MAX
}

/// Whether a text names folders of the machine that it was written on.
fn leads_out(text: &str) -> bool {
    // In two parts, so that this file does not find itself.
    [concat!("/wo", "rk/"), concat!("../sha", "red")].iter().any(|folder| text.contains(folder))
}

fn generated(listed: &str) -> impl Iterator<Item = &str> {
    listed.lines().filter(|path| path.split('/').any(tree::is_generated))
}

mod bad_input {
    use super::*;

    fn manifest(text: &str) -> Table {
        text.parse().expect("it is TOML")
    }

    #[test]
    fn a_runtime_in_a_pure_crate_is_found() {
        for text in [
            "[dependencies]\nbytes = '1'\ntokio = '1'",
            "[dependencies]\nt = { package = 'tokio', version = '1' }",
            "[build-dependencies]\ntokio = '1'",
            "[target.'cfg(unix)'.dependencies]\ntokio = '1'",
        ] {
            assert_eq!(impure_dependencies(&manifest(text)), ["tokio"], "{text}");
        }
        assert_eq!(impure_dependencies(&manifest("[dev-dependencies]\ncriterion = '1'")), [""; 0]);
    }

    #[test]
    fn another_layer_is_found_wherever_it_stands() {
        for kind in ["dependencies", "dev-dependencies"] {
            let text = format!("[package]\nname = 'a'\n[{kind}]\nleveret-mqtt.workspace = true");
            assert_eq!(impure_dependencies(&manifest(&text)), ["leveret-mqtt"]);
            assert_eq!(layers(&manifest(&text)), ["leveret-mqtt"]);
        }
    }

    #[test]
    fn a_crate_may_name_itself_for_its_own_tests() {
        let text = "[package]\nname = 'leveret-a'\n[dev-dependencies]\nleveret-a = '1'";
        assert_eq!(layers(&manifest(text)), [""; 0]);
    }

    #[test]
    fn sockets_clocks_threads_and_dice_are_found() {
        for line in [
            "use tokio::sync::watch;",
            "use std::net::IpAddr;",
            "use std::{sync::Arc, thread};",
            "let now = std::time::Instant::now();",
            "    let at = SystemTime::now();",
            "std::thread::sleep(pause);",
            "let roll = rand::random::<u8>();",
            "use leveret_storage::Storage;",
        ] {
            assert_eq!(impurities(line).len(), 1, "{line}");
        }
    }

    #[test]
    fn comments_tests_and_times_as_values_are_no_impurities() {
        let source = "//! let now = Instant::now();\nuse std::time::Instant;\n\
                      #[cfg(test)]\nmod tests {\n    use std::thread;\n}\n";
        assert_eq!(impurities(source), [""; 0]);
        assert_eq!(impurities("use crate::operand::Operand;"), [""; 0]);
    }

    #[test]
    fn a_protocol_in_the_server_is_found() {
        assert!(names_protocol("use leveret_amqp::Connection;"));
        assert!(names_protocol("fn f(qos: leveret_mqtt::Qos) {}"));
        assert!(!names_protocol("use leveret_core::Queue;"));
    }

    #[test]
    fn the_501st_line_is_found_in_sources_only() {
        let file = |path: &str, lines| Text { path: path.to_owned(), text: "\n".repeat(lines) };
        assert!(!is_too_long(&file("src/a.rs", LINES_MAX)));
        assert!(is_too_long(&file("src/a.rs", LINES_MAX + 1)));
        assert!(is_too_long(&file("compat-tests/a.py", LINES_MAX + 1)));
        assert!(!is_too_long(&file("Cargo.lock", LINES_MAX + 1)));
    }

    #[test]
    fn a_way_out_is_found() {
        assert!(leads_out(concat!("see /wo", "rk/notes.md")));
        assert!(leads_out(concat!("[page](../sha", "red/page.md)")));
        assert!(!leads_out("a network/name, work/other"));
    }

    #[test]
    fn a_tracked_build_is_found() {
        let listed = "src/lib.rs\ntests/python/.venv/bin/pip\ntarget/debug/leveret\n";
        let found: Vec<_> = generated(listed).collect();
        assert_eq!(found, ["tests/python/.venv/bin/pip", "target/debug/leveret"]);
    }
}
