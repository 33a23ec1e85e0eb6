//! What the documents say is so: tables are rendered from the code, names are looked up, links lead
//! somewhere.
//!
//! `REWRITE_DOCUMENTS=1 cargo test --test documents` writes what is rendered.

mod tree;

use std::collections::BTreeSet;
use std::path::Path;

use leveret::Config;
use regex::Regex;
use tree::Text;

#[test]
fn the_configuration_page_lists_the_settings_as_they_are() {
    let rendered = configuration_page();
    let path = tree::root().join("docs/configuration.md");
    if std::env::var_os("REWRITE_DOCUMENTS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page == rendered, "run: REWRITE_DOCUMENTS=1 cargo test --test documents");
}

#[test]
fn every_dependency_has_its_line_and_every_line_its_dependency() {
    let page = std::fs::read_to_string(tree::root().join("docs/dependencies.md")).unwrap();
    let crates = tree::manifests();
    let crates = crates.iter().flat_map(|(_, manifest)| dependencies(manifest));
    let packages = std::fs::read_to_string(tree::root().join("admin-ui/package.json")).unwrap();
    assert_eq!(listed(&page), crates.chain(npm_dependencies(&packages)).collect());
}

#[test]
fn links_lead_to_files_that_are_there() {
    let broken: Vec<_> = pages().iter().flat_map(broken_links).collect();
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let readme = std::fs::read_to_string(tree::root().join("README.md")).unwrap();
    let example = std::fs::read_to_string(tree::root().join("examples/embedded.rs")).unwrap();
    assert!(readme.contains(shown(&example)), "the README's program is not examples/embedded.rs");
}

#[test]
fn the_readme_stays_short() {
    let readme = std::fs::read_to_string(tree::root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 250, "{} lines", readme.lines().count());
}

#[test]
fn settings_that_documents_name_exist() {
    let known: BTreeSet<String> = Config::settings()
        .iter()
        .flat_map(|setting| [format!("--{}", setting.flag()), setting.variable()])
        .chain(["LEVERET_CONFIG", "--config", "--help", "--version"].map(str::to_owned))
        .chain(
            [
                "--dir",
                "--name",
                "--user",
                "--queue",
                "--vhost",
                "--store",
                "LEVERET_KILL_ROUNDS",
                "LEVERET_KILL_SEED",
            ]
            .map(str::to_owned),
        )
        .collect();
    let known: BTreeSet<String> =
        known.into_iter().chain(options(&leveret_bench::command())).collect();
    // The options of leveretctl are compared with its page in its own tests.
    let others = ["compat-tests/", "docs/leveretctl.md"];
    let is_other = |page: &&Text| others.iter().any(|other| page.path.starts_with(other));
    for page in pages().iter().filter(|page| !is_other(page)) {
        let unknown: Vec<_> =
            named_settings(&page.text).filter(|name| !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "{} names {unknown:?}", page.path);
    }
}

/// The options of a command and of those below it.
fn options(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_long());
    let own = own.map(|name| format!("--{name}"));
    own.chain(command.get_subcommands().flat_map(options)).collect()
}

#[test]
fn the_page_of_limits_has_all_of_them_with_their_defaults() {
    let page = std::fs::read_to_string(tree::root().join("docs/limits.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z_]+)` \| `([^`]*)` \|").expect("it is tested");
    let listed: BTreeSet<(String, String)> =
        row.captures_iter(&page).map(|found| (found[1].to_owned(), found[2].to_owned())).collect();
    let settings = Config::settings();
    let known: BTreeSet<(String, String)> =
        settings.iter().map(|it| (it.name.to_owned(), it.default.clone())).collect();
    let wrong: Vec<_> = listed.difference(&known).collect();
    assert!(wrong.is_empty(), "docs/limits.md has other defaults, or no settings: {wrong:?}");
    let is_limit = |name: &str| {
        ["_max", "_min", "_timeout", "_reserve", "_window", "_memory"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let is_listed = |name: &str| listed.iter().any(|(listed, _)| listed == name);
    let missing: Vec<_> =
        settings.iter().map(|it| it.name).filter(|it| is_limit(it) && !is_listed(it)).collect();
    assert!(missing.is_empty(), "docs/limits.md lacks {missing:?}");
}

fn pages() -> Vec<Text> {
    tree::texts().into_iter().filter(|file| file.path.ends_with(".md")).collect()
}

fn configuration_page() -> String {
    let mut page = CONFIGURATION_HEAD.to_owned();
    for setting in Config::settings() {
        let default = match &*setting.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        page += &format!(
            "| `{}` | `--{} {}` | {} | {} |\n",
            setting.name,
            setting.flag(),
            setting.value_name,
            default,
            setting.help.replace("  ", " ")
        );
    }
    page
}

const CONFIGURATION_HEAD: &str = "\
# Configuration

Every setting has one name and three places: the file, the environment, the command line. Options of
the command line win over the environment, the environment wins over the file, the file over the
defaults. A key that is not listed here is an error, wherever it stands, and so is a value that does
not fit; the broker then says which and where, and does not start.

* **File**: `leveret.toml` in the current directory, if there is one, or what `--config FILE` or
  `LEVERET_CONFIG` names. One `name = value` per line, as in the first column.
* **Environment**: `LEVERET_` and the name in capitals: `LEVERET_AMQP_PORT=5673`.
* **Command line**: `--` and the name with hyphens: `--amqp-port 5673`.

```toml
# leveret.toml
data_dir = \"/var/lib/leveret\"
bind = [\"127.0.0.1\", \"::1\"]
storage_sync = \"always\"
message_memory = \"256MiB\"
```

Sizes take a unit: `4096`, `500kB`, `64MiB`, `1GiB`. A change takes a
restart; on SIGHUP, only the [files for TLS](tls.md) are read again and the [audit log](audit-log.md) is opened anew.

| name | option | default | what it does |
|---|---|---|---|
";

/// The crates that a manifest names, of other repositories.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = KINDS.iter().filter_map(|kind| manifest.get(*kind)?.as_table());
    let names = tables.flat_map(|table| table.keys());
    names.filter(|name| !name.starts_with("leveret")).cloned().collect()
}

fn npm_dependencies(package: &str) -> Vec<String> {
    let package: serde_json::Value = serde_json::from_str(package).expect("npm reads it too");
    let tables = ["dependencies", "devDependencies"].map(|kind| package[kind].as_object());
    tables.into_iter().flatten().flat_map(|table| table.keys().cloned()).collect()
}

/// The crates in the first column of a page's tables.
fn listed(page: &str) -> BTreeSet<String> {
    let first = Regex::new(r"(?m)^\| `([^`]+)` \|").expect("it is tested");
    first.captures_iter(page).map(|found| found[1].to_owned()).collect()
}

/// Links of a page within the repository that lead nowhere.
fn broken_links(page: &Text) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s#]+)(#[^)]*)?\)").expect("it is tested");
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let targets = link.captures_iter(&page.text).map(|found| found[1].to_owned());
    let local = targets.filter(|target| !target.contains("://"));
    let broken = local.filter(|target| !tree::root().join(folder).join(target).exists());
    broken.map(|target| format!("{}: {target}", page.path)).collect()
}

/// What of an example the README shows: everything but the module's documentation.
fn shown(example: &str) -> &str {
    example.find("use ").map_or(example, |start| &example[start..])
}

/// Options and variables of the broker that a text names. Options of other programs are told by
/// their command, which stands in the same line.
fn named_settings(text: &str) -> impl Iterator<Item = &str> {
    const OTHERS: [&str; 7] =
        ["cargo ", "curl ", "git ", "leveretctl ", "npm ", "pip ", "mosquitto_"];
    let ours = |line: &&str| !OTHERS.iter().any(|other| line.contains(other));
    let words = |line| str::split(line, |c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
    text.lines().filter(ours).flat_map(words).filter(|word| is_option(word) || is_variable(word))
}

fn is_option(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
}

fn is_variable(word: &str) -> bool {
    word.strip_prefix("LEVERET_").is_some_and(|name| !name.is_empty())
}

mod bad_input {
    use super::*;

    fn page(text: &str) -> Text {
        Text { path: "docs/a.md".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        let broken =
            broken_links(&page("[a](nothing.md), [b](../README.md#top), [c](https://a.b)"));
        assert_eq!(broken, ["docs/a.md: nothing.md"]);
    }

    #[test]
    fn a_dependency_is_listed_by_the_first_column_only() {
        let page = "Uses `a`.\n\n| crate | for |\n|---|---|\n| `b` | what `c` was |\n";
        assert_eq!(listed(page), BTreeSet::from(["b".to_owned()]));
    }

    #[test]
    fn dependencies_of_all_kinds_count_and_own_crates_do_not() {
        let manifest = "[dependencies]\na = '1'\nleveret-core = '1'\n[dev-dependencies]\nb = '1'\n\
                        [build-dependencies]\nc = '1'";
        assert_eq!(dependencies(&manifest.parse().unwrap()), ["a", "b", "c"]);
    }

    #[test]
    fn packages_of_all_kinds_count() {
        let package = r#"{"dependencies": {"a": "1"}, "devDependencies": {"@b/c": "1"}}"#;
        assert_eq!(npm_dependencies(package), ["a", "@b/c"]);
    }

    #[test]
    fn options_and_variables_are_found_in_running_text() {
        let text =
            "Set `--amqp-prot 5673`, or LEVERET_AMQP_PROT=5673. A dash -- like this -- is none.";
        let found: Vec<_> = named_settings(text).collect();
        assert_eq!(found, ["--amqp-prot", "LEVERET_AMQP_PROT"]);
    }

    #[test]
    fn the_program_without_its_first_comment_is_what_the_readme_shows() {
        assert_eq!(
            shown("//! A program.\n\nuse a::B;\nfn main() {}\n"),
            "use a::B;\nfn main() {}\n"
        );
    }
}
