//! What is built into the broker comes from where it should: one registry, licences that are known, no crate
//! twice without our knowledge, and no `unsafe` of our own. `deny.toml` has the lists, for `cargo deny` too,
//! which also looks for advisories; that takes a network, so it is not done here.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use toml::Table;

/// Where crates come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Lock files, the one of the broker first.
const LOCKS: [&str; 3] = ["Cargo.lock", "compat-tests/rust/Cargo.lock", "fuzz/Cargo.lock"];

fn read(path: &str) -> Table {
    std::fs::read_to_string(tree::root().join(path)).unwrap().parse().unwrap()
}

/// A list of texts, or of crates as `name` or `name@version`.
fn list(of: &Table, section: &str, name: &str) -> BTreeSet<String> {
    let text = |item: &toml::Value| match (item.get("name"), item.get("version")) {
        (None, _) => item.as_str().unwrap().to_owned(),
        (Some(name), None) => name.as_str().unwrap().to_owned(),
        (Some(name), Some(version)) => {
            let version = version.as_str().unwrap().trim_start_matches('=');
            format!("{}@{version}", name.as_str().unwrap())
        }
    };
    of[section][name].as_array().unwrap().iter().map(text).collect()
}

fn packages(lock: &Table) -> impl Iterator<Item = &Table> {
    lock["package"].as_array().unwrap().iter().filter_map(toml::Value::as_table)
}

#[test]
fn all_crates_come_from_one_registry_with_their_checksums() {
    for path in LOCKS {
        assert_eq!(strangers(&read(path)), [""; 0], "{path}");
    }
}

/// Packages of neither the registry nor this repository.
fn strangers(lock: &Table) -> Vec<&str> {
    let is_strange = |package: &&Table| match package.get("source") {
        Some(source) => source.as_str() != Some(REGISTRY) || !package.contains_key("checksum"),
        None => !package["name"].as_str().unwrap().starts_with("leveret"),
    };
    packages(lock).filter(is_strange).map(|package| package["name"].as_str().unwrap()).collect()
}

#[test]
fn a_crate_in_two_versions_is_one_that_is_known_to_be() {
    let known = list(&read("deny.toml"), "bans", "skip");
    assert_eq!(older_of_two(&read(LOCKS[0])), known, "see `skip` in deny.toml");
}

/// Of each package that is there more than once, all versions but the newest: `name@version`.
fn older_of_two(lock: &Table) -> BTreeSet<String> {
    let mut versions = BTreeMap::<&str, Vec<(Vec<u64>, &str)>>::new();
    for package in packages(lock) {
        let (name, version) = (package["name"].as_str(), package["version"].as_str().unwrap());
        let numbers = version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
        versions.entry(name.unwrap()).or_default().push((numbers, version));
    }
    let older = versions.into_iter().flat_map(|(name, mut versions)| {
        versions.sort();
        versions.pop();
        versions.into_iter().map(move |(_, version)| format!("{name}@{version}"))
    });
    older.collect()
}

#[test]
fn crates_that_are_not_to_be_there_are_not() {
    let denied = list(&read("deny.toml"), "bans", "deny");
    let metadata = metadata();
    let found = metadata["packages"].as_array().unwrap().iter();
    let found = found.map(|package| package["name"].as_str().unwrap());
    let found: Vec<_> = found.filter(|name| denied.contains(*name)).collect();
    assert_eq!(found, [""; 0]);
}

#[test]
fn all_licences_are_known() {
    let allowed = list(&read("deny.toml"), "licenses", "allow");
    let mut used = BTreeSet::new();
    for package in metadata()["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or("no licence");
        let chosen = choose(licence, &allowed);
        assert!(chosen.is_some(), "{}: {licence}", package["name"]);
        used.extend(chosen.unwrap());
    }
    assert_eq!(used, allowed, "`allow` in deny.toml has some that nobody needs");
}

/// What cargo knows of everything that is built here, on this platform.
fn metadata() -> Value {
    let host = Command::new(env!("CARGO")).args(["-vV"]).output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"])
        .args(["--filter-platform", host])
        .current_dir(tree::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The licences that an SPDX expression asks for, of those that are allowed; none if it asks for others.
fn choose(expression: &str, allowed: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let expression = expression.replace('/', " OR ").replace('(', "( ").replace(')', " )");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut rest = &words[..];
    let chosen = any_of(&mut rest, allowed);
    assert!(rest.is_empty(), "{expression}");
    chosen
}

fn any_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let mut chosen = all_of(words, allowed);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        let other = all_of(words, allowed);
        chosen = chosen.or(other);
    }
    chosen
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let mut chosen = one(words, allowed);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        let more = one(words, allowed);
        chosen = chosen.zip(more).map(|(chosen, more)| chosen.into_iter().chain(more).collect());
    }
    chosen
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let chosen = any_of(words, allowed);
            *words = words.strip_prefix(&[")"]).expect("a bracket that is closed");
            chosen
        }
        [name, "WITH", exception, rest @ ..] => {
            *words = rest;
            let name = format!("{name} WITH {exception}");
            allowed.contains(&name).then(|| BTreeSet::from([name]))
        }
        [name, rest @ ..] => {
            *words = rest;
            allowed.contains(*name).then(|| BTreeSet::from([(*name).to_owned()]))
        }
        [] => None,
    }
}

#[test]
fn no_crate_of_ours_may_have_unsafe_code() {
    let manifests = tree::manifests();
    let workspace = manifests.iter().find(|(path, _)| path == "Cargo.toml").unwrap();
    let lints = &workspace.1["workspace"]["lints"]["rust"];
    assert_eq!(lints["unsafe_code"].as_str(), Some("forbid"));
    let free = manifests.iter().filter(|(_, manifest)| !inherits_lints(manifest));
    let free: Vec<_> = free.map(|(path, _)| path.as_str()).collect();
    // What they build is no part of the broker, and they are workspaces of their own.
    assert_eq!(free, ["compat-tests/rust/Cargo.toml", "fuzz/Cargo.toml"]);
}

fn inherits_lints(manifest: &Table) -> bool {
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    lints.and_then(toml::Value::as_bool) == Some(true)
}

#[test]
fn the_rules_see_what_they_look_for() {
    let lock: Table = r#"
        [[package]]
        name = "leveret"
        version = "0.1.0"
        [[package]]
        name = "forked"
        version = "1.9.0"
        source = "git+https://example.org/forked"
        [[package]]
        name = "good"
        version = "1.10.0"
        source = "registry+https://github.com/rust-lang/crates.io-index"
        checksum = "00"
        [[package]]
        name = "good"
        version = "1.9.0"
        source = "registry+https://github.com/rust-lang/crates.io-index"
    "#
    .parse()
    .unwrap();
    assert_eq!(strangers(&lock), ["forked", "good"]);
    assert_eq!(older_of_two(&lock), BTreeSet::from(["good@1.9.0".to_owned()]));
    let allowed = ["MIT", "ISC", "A WITH e"].map(str::to_owned).into();
    let chosen = |expression| choose(expression, &allowed).map(|it| it.into_iter().collect());
    let some = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    assert_eq!(chosen("GPL-3.0 OR MIT"), some(&["MIT"]));
    assert_eq!(chosen("GPL-3.0/MIT"), some(&["MIT"]));
    assert_eq!(chosen("ISC AND (GPL-3.0 OR MIT)"), some(&["ISC", "MIT"]));
    assert_eq!(chosen("A WITH e"), some(&["A WITH e"]));
    for refused in ["GPL-3.0", "A", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "no licence"] {
        assert!(std::panic::catch_unwind(|| choose(refused, &allowed)).ok().flatten().is_none());
    }
    assert!(!inherits_lints(&"[lints.rust]\nunsafe_code = 'allow'".parse().unwrap()));
}
