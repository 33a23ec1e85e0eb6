//! What is declared, listed, shown and deleted.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

mod support;

use serde_json::{Value, json};
use support::Local;

/// What a list in JSON has, by one column.
fn column(list: &Value, name: &str) -> Vec<String> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item[name].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_queue_is_declared_listed_shown_and_deleted() {
    let local = Local::start();
    let declare = ["declare", "queue", "q", "--type", "quorum", "-a", "x-max-length=5"];
    assert_eq!(local.ok(&declare), "queue 'q' in vhost '/' is created\n");
    assert_eq!(local.ok(&declare), "queue 'q' in vhost '/' is up to date\n");
    assert_eq!(
        local.ok(&["list", "queues"]),
        "name  vhost  type    messages_ready  messages_unacknowledged  consumers  policy\n\
         q     /      quorum               0                        0          0\n"
    );
    assert_eq!(local.json(&["list", "queues"])[0]["durable"], true);
    let shown = local.ok(&["show", "queue", "q"]);
    assert!(shown.contains("arguments.x-max-length"), "{shown}");
    assert_eq!(local.json(&["show", "queue", "q"])["arguments"]["x-queue-type"], "quorum");
    assert_eq!(local.json(&["delete", "queue", "q"]), json!({"result": "deleted"}));
    assert_eq!(local.json(&["list", "queues"]), json!([]));
    let error = local.fails(1, &["delete", "queue", "q"]);
    assert_eq!(error, "leveretctl: there is no queue 'q' in vhost '/'.\n");
}

#[test]
fn a_transient_queue_is_another_one() {
    let local = Local::start();
    local.ok(&["declare", "queue", "t", "--transient", "--auto-delete"]);
    let queue = local.json(&["show", "queue", "t"]);
    assert_eq!((&queue["durable"], &queue["auto_delete"]), (&json!(false), &json!(true)));
    let error = local.fails(1, &["declare", "queue", "t"]);
    assert!(error.contains("inequivalent arg"), "{error}");
}

#[test]
fn any_name_is_one_name() {
    let local = Local::start();
    let name = "a b/c%2F?&#+ü日本";
    local.ok(&["declare", "vhost", name]);
    let here = |arguments: &[&str]| local.ok(&[&["-V", name], arguments].concat());
    here(&["declare", "queue", name]);
    here(&["declare", "exchange", name, "--type", "topic"]);
    here(&["declare", "binding", name, name, "--key", name]);
    here(&["publish", name, "hello", "--exchange", name]);
    let message = local.json(&["-V", name, "get", name]);
    assert_eq!(
        (&message[0]["payload"], &message[0]["routing_key"]),
        (&json!("hello"), &json!(name))
    );
    assert!(here(&["list", "queues"]).contains(name));
    assert_eq!(column(&local.json(&["-V", name, "list", "bindings"]), "source"), ["", name]);
    here(&["delete", "binding", name, name, "--key", name]);
    here(&["purge", name]);
    here(&["delete", "queue", name, "--if-empty", "--if-unused"]);
    here(&["delete", "exchange", name, "--if-unused"]);
    local.ok(&["delete", "vhost", name, "--yes"]);
    assert_eq!(column(&local.json(&["list", "vhosts"]), "name"), ["/"]);
}

#[test]
fn an_exchange_and_its_bindings() {
    let local = Local::start();
    local.ok(&["declare", "exchange", "x", "--type", "headers", "--internal", "--transient"]);
    local.ok(&["declare", "exchange", "y", "--auto-delete", "-a", "alternate-exchange=x"]);
    local.ok(&["declare", "queue", "q"]);
    local.ok(&["declare", "binding", "y", "q", "-k", "k"]);
    local.ok(&["declare", "binding", "y", "x", "--to-exchange", "-a", "x-match=all", "-a", "n=1"]);
    assert_eq!(local.json(&["show", "exchange", "x"])["internal"], true);
    assert_eq!(local.json(&["show", "exchange", ""])["type"], "direct");
    let table = local.ok(&["list", "bindings", "--columns", "source,destination,routing_key"]);
    assert!(table.starts_with("source  destination  routing_key\n"), "{table}");
    let error = local.fails(1, &["delete", "binding", "y", "x", "--to-exchange"]);
    assert!(error.contains("with the key \"\" and these arguments"), "{error}");
    local.ok(&["delete", "binding", "y", "x", "--to-exchange", "-a", "x-match=all", "-a", "n=1"]);
    local.ok(&["delete", "binding", "y", "q", "--key", "k"]);
    let sources = column(&local.json(&["list", "bindings", "--vhost", "/"]), "source");
    assert_eq!(sources, [""]);
}

#[test]
fn a_vhost_is_described_and_only_deleted_if_that_is_sure() {
    let local = Local::start();
    let describe = ["declare", "vhost", "v", "--description", "d", "--tags", "a,b"];
    local.ok(&[&describe[..], &["--protected", "true"]].concat());
    let vhost = local.json(&["show", "vhost", "v"]);
    assert_eq!((&vhost["description"], &vhost["tags"]), (&json!("d"), &json!(["a", "b"])));
    let error = local.fails(2, &["delete", "vhost", "v"]);
    assert!(error.contains("say --yes"), "{error}");
    let error = local.fails(1, &["delete", "vhost", "v", "--yes"]);
    assert!(error.contains("protected from deletion"), "{error}");
    local.ok(&["declare", "vhost", "v", "--protected", "false"]);
    assert_eq!(local.json(&["show", "vhost", "v"])["description"], "d");
    local.ok(&["delete", "vhost", "v", "--yes"]);
}

#[test]
fn permissions_policies_limits_and_global_parameters() {
    let local = Local::start();
    for (declare, list, delete) in [
        ("permissions guest --write a7", "permissions", "permissions guest"),
        (
            "topic-permissions guest amq.topic --read b7",
            "topic-permissions",
            "topic-permissions guest amq.topic",
        ),
        ("policy p ^q max-length=7 --apply-to queues --priority -1", "policies", "policy p"),
        ("operator-policy p ^q max-length=7", "operator-policies", "operator-policy p"),
        ("vhost-limit max-queues 7", "vhost-limits", "vhost-limit max-queues"),
        ("user-limit guest max-channels 7", "user-limits", "user-limit guest max-channels"),
        ("global-parameter g {\"a\":7}", "global-parameters", "global-parameter g"),
    ] {
        let words = |first: &'static str, line: &'static str| {
            std::iter::once(first).chain(line.split(' ')).collect::<Vec<_>>()
        };
        local.ok(&words("declare", declare));
        assert!(local.ok(&["list", list]).contains('7'), "{list}");
        assert!(local.json(&["list", list]).to_string().contains('7'), "{list}");
        let done = local.json(&words("delete", delete));
        assert_eq!(done, json!({"result": "deleted"}), "{delete}");
        assert!(!local.json(&["list", list]).to_string().contains('7'), "{list}");
    }
    assert_eq!(local.json(&["list", "nodes"]).as_array().unwrap().len(), 1);
    assert_eq!(local.json(&["list", "parameters"]), json!([]));
    let error = local.fails(1, &["declare", "policy", "p", "(", "max-length=1"]);
    assert!(error.contains("policy 'p' in vhost '/'"), "{error}");
}

#[test]
fn a_long_list_comes_in_pages_and_can_be_filtered_and_sorted() {
    let local = Local::start();
    let client = local.broker.client();
    for n in 0..1_201 {
        local.runtime.block_on(client.declare_queue(&format!("q{n:04}"), false)).unwrap();
    }
    let mut names = column(&local.json(&["list", "queues"]), "name");
    names.sort();
    assert_eq!((names.len(), &*names[1_200]), (1_201, "q1200"));
    assert_eq!(local.ok(&["list", "queues", "--columns", "name"]).lines().count(), 1_202);
    let named = local.json(&["list", "queues", "--filter", "Q1200", "--columns", "name,consumers"]);
    assert_eq!(named, json!([{"name": "q1200", "consumers": 0}]));
    let sort = ["list", "queues", "--sort", "name", "--reverse", "--filter", "q00"];
    assert_eq!(column(&local.json(&sort), "name")[0], "q0099");
    assert_eq!(local.json(&["list", "users", "--filter", "none"]), json!([]));
    assert_eq!(column(&local.json(&["list", "users", "--filter", "GUE"]), "name"), ["guest"]);
}

#[test]
fn names_cannot_change_the_terminal() {
    let local = Local::start();
    local.ok(&["declare", "queue", "a\u{1b}[2Jb\tc"]);
    let table = local.ok(&["list", "queues", "--columns", "name"]);
    assert_eq!(table, "name\na\\u{1b}[2Jb\\tc\n");
}

#[test]
fn quiet_says_nothing_but_what_was_asked() {
    let local = Local::start();
    assert_eq!(local.ok(&["-q", "declare", "queue", "q"]), "");
    assert!(local.ok(&["-q", "list", "queues"]).contains("q "));
}
