//! The program itself: where it finds the broker, who logs in, what it says and with which exit code.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use support::{Local, Stub, run_in};
use tempfile::TempDir;

#[test]
fn the_broker_is_found_by_its_socket_an_address_or_the_environment() {
    let local = Local::start();
    let (socket, url) = (local.socket(), local.url());
    let (socket, data) = (socket.to_str().unwrap(), local.folder.path().join("data"));
    local.ok(&["list", "vhosts"]);
    let elsewhere = TempDir::new().unwrap();
    let list = ["list", "vhosts"];
    for (environment, more) in [
        (vec![("LEVERET_DATA_DIR", data.to_str().unwrap())], vec![]),
        (vec![("LEVERETCTL_SOCKET", socket)], vec![]),
        (vec![("LEVERETCTL_URL", &*url)], vec![]),
        (vec![("LEVERETCTL_URL", "http://127.0.0.1:1")], vec!["--socket", socket]),
        (vec![("LEVERETCTL_SOCKET", "/none")], vec!["--url", &*url]),
        (vec![], vec!["--socket", socket, "--user", "guest"]),
        (
            vec![("LEVERETCTL_USER", "guest"), ("LEVERETCTL_PASSWORD", "guest")],
            vec!["--url", &*url],
        ),
    ] {
        let ran = run_in(elsewhere.path(), &environment, b"", &[&list[..], &more].concat());
        assert_eq!((ran.code, &*ran.err), (0, ""), "{environment:?} {more:?}");
    }
}

#[test]
fn who_cannot_be_reached_or_does_not_answer_is_named_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| run_in(folder.path(), &[], b"", arguments);
    let ran = run(&["status", "--url", "http://127.0.0.1:1"]);
    let expected = "leveretctl: cannot reach http://127.0.0.1:1: connection refused. Is the broker \
        running? Name another address with --url.\n";
    assert_eq!((ran.code, &*ran.err), (1, expected));
    let ran = run(&["status", "--socket", "none.sock"]);
    assert!(ran.code == 1 && ran.err.contains("the socket none.sock: it is not there"), "{ran:?}");
    let ran = run(&["status", "--url", "https://localhost"]);
    assert!(ran.code == 2 && ran.err.contains("TLS"), "{ran:?}");

    let silent = Stub::start(0, "");
    let ran = silent.run(&["status", "--timeout", "1"]);
    assert!(
        ran.code == 1 && ran.err.contains("in 1 s") && ran.err.contains("--timeout"),
        "{ran:?}"
    );
    let other = Stub::start(200, "<html>");
    for command in [&["status"][..], &["list", "queues"], &["list", "users"]] {
        let ran = other.run(command);
        assert!(ran.code == 1 && ran.err.contains("is this a management API?"), "{ran:?}");
    }
    let broken = Stub::start(502, "bad gateway");
    let ran = broken.run(&["list", "queues"]);
    assert!(ran.code == 1 && ran.err.contains("answers with status 502"), "{ran:?}");
}

#[test]
fn a_command_line_that_is_wrong_ends_with_2() {
    let local = Local::start();
    for line in [
        "",
        "frobnicate",
        "list things",
        "show queue",
        "show queue a b",
        "show parameter a",
        "list users -V /",
        "declare queue",
        "peek q --count 0",
        "status --timeout 0",
        "status --url http://a --socket b",
        "user add u",
        "declare parameter c n {",
    ] {
        let arguments: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let error = local.fails(2, &arguments);
        assert!(!error.is_empty(), "{line}");
    }
    let help = local.ok(&["--help"]);
    assert!(help.contains("exit code") && help.contains("LEVERETCTL_URL"), "{help}");
    assert!(local.ok(&["--version"]).starts_with("leveretctl 0."));
}

#[test]
fn users_get_passwords_and_tags_and_no_command_shows_a_password() {
    let local = Local::start();
    let (secret, other) = (local.file("secret", "s3cret\n"), local.file("other", "0ther"));
    let add = ["user", "add", "jo", "--new-password-file", &*secret, "--tags", "monitoring"];
    assert_eq!(local.ok(&add), "user 'jo' is created\n");
    let as_jo = |password: &str, arguments: &[&str]| {
        let environment = [("LEVERETCTL_USER", "jo"), ("LEVERETCTL_PASSWORD", password)];
        local.run_at_url(&environment, arguments)
    };
    let fails = |password: &str, arguments: &[&str], why: &str| {
        let ran = as_jo(password, arguments);
        assert!(ran.code == 1 && ran.err.contains(why), "{ran:?}");
    };
    assert_eq!(as_jo("s3cret", &["list", "nodes"]).code, 0);
    local.ok(&["user", "passwd", "jo", "--new-password-file", &*other]);
    fails("s3cret", &["list", "nodes"], "user 'jo' in: the name or the password is wrong");
    let file = ["--user", "jo", "--password-file", &*other, "list", "nodes"];
    assert_eq!(local.run_at_url(&[], &file).code, 0);
    assert_eq!(local.json(&["show", "user", "jo"])["tags"], json!(["monitoring"]));

    local.ok(&["user", "tags", "jo", "management", "x"]);
    assert_eq!(local.json(&["show", "user", "jo"])["tags"], json!(["management", "x"]));
    fails("0ther", &["list", "users"], "user 'jo' may not do this with users");
    fails("0ther", &["declare", "queue", "q"], "user 'jo' may not");
    local.ok(&["user", "tags", "jo"]);
    fails("0ther", &["list", "queues"], "leveretctl user tags");

    local.ok(&["declare", "user", "nologin", "--no-password"]);
    for shown in [local.json(&["list", "users"]), local.json(&["show", "user", "jo"])] {
        assert!(!shown.to_string().contains("password"), "{shown}");
    }
    assert!(!local.ok(&["list", "users"]).contains("password"));
    assert_eq!(local.json(&["user", "delete", "jo"]), json!({"result": "deleted"}));
    local.ok(&["delete", "user", "nologin"]);
    for command in [&["tags", "jo", "a"][..], &["passwd", "jo"], &["delete", "jo"]] {
        let error = local.fails(1, &[&["user"], command].concat());
        assert_eq!(error, "leveretctl: there is no user 'jo'.\n");
    }
}

#[test]
fn a_wrong_password_of_guest_and_a_missing_one_say_what_to_do() {
    let local = Local::start();
    let ran = local.run_at_url(&[("LEVERETCTL_PASSWORD", "wrong")], &["status"]);
    assert!(ran.code == 1 && ran.err.contains("does not let user 'guest' in"), "{ran:?}");
    let ran = local.run_at_url(&[], &["status", "--user", "jo"]);
    assert!(ran.code == 2 && ran.err.contains("--password-file"), "{ran:?}");
}

#[test]
fn definitions_are_saved_for_nobody_else_to_read_and_loaded() {
    let exporting = Stub::start(200, r#"{"users":[{"password_hash":"h"}]}"#);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("d.json");
    let path = file.to_str().unwrap();
    for _ in 0..2 {
        let ran = exporting.run(&["definitions", "export", path]);
        assert_eq!((ran.code, &*ran.err), (0, ""));
    }
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let saved: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(saved["users"][0]["password_hash"], "h");
    assert!(exporting.run(&["definitions", "export"]).out.contains("password_hash"));
    exporting.run(&["definitions", "export", "-", "-V", "/"]);
    assert_eq!(exporting.asked()[3], "GET /api/definitions/%2F");
    let ran = exporting.run(&["definitions", "export", "/nowhere/d.json"]);
    assert!(ran.code == 1 && ran.err.contains("/nowhere/d.json: No such file"), "{ran:?}");

    let importing = Stub::start(204, "");
    let ran = importing.run(&["definitions", "import", path, "--format", "json"]);
    assert_eq!((ran.code, &*ran.out), (0, "{\"result\":\"imported\"}\n"));
    assert_eq!(importing.asked(), ["POST /api/definitions"]);
    assert!(importing.requests.lock().unwrap()[0].contains("\"password_hash\": \"h\""));
    let ran = importing.run(&["definitions", "import", "/nowhere/d.json"]);
    assert!(ran.code == 1 && ran.err.contains("No such file"), "{ran:?}");
    let refusing = Stub::start(400, r#"{"error":"bad_request","reason":"unknown vhost 'v'"}"#);
    let ran = refusing.run(&["definitions", "import", path]);
    assert_eq!((ran.code, &*ran.err), (1, "leveretctl: definitions: unknown vhost 'v'.\n"));
}

#[test]
fn what_one_broker_exports_another_one_imports() {
    let (from, to) = (Local::start(), Local::start());
    from.ok(&["declare", "vhost", "v"]);
    from.ok(&["declare", "queue", "q", "--vhost", "v"]);
    let (component, limits) = ("vhost-limits", r#"{"max-queues": 7}"#);
    from.ok(&["declare", "parameter", component, "limits", limits, "--vhost", "v"]);
    let file = from.folder.path().join("d.json");
    let file = file.to_str().unwrap();
    from.ok(&["definitions", "export", file]);
    to.ok(&["definitions", "import", file]);
    let both = |arguments: &[&str]| (from.json(arguments), to.json(arguments));
    for arguments in [&["definitions", "export"][..], &["list", "parameters"]] {
        let (exported, imported) = both(arguments);
        assert_eq!(exported, imported);
    }
    assert_eq!(to.json(&["list", "vhost-limits"])[0]["value"]["max-queues"], 7);
    to.ok(&["delete", "parameter", component, "limits", "--vhost", "v"]);
    assert_eq!(to.json(&["list", "parameters"]), json!([]));
    let wrong = to.file("wrong.json", "[");
    let error = to.fails(1, &["definitions", "import", &wrong]);
    assert!(error.contains("no JSON object"), "{error}");
    let wrong = to.file("wrong.json", r#"{"queues": [{"name": "a", "vhost": "none"}]}"#);
    let error = to.fails(1, &["definitions", "import", &wrong]);
    assert!(error.contains("nothing is imported") && error.contains("'a'"), "{error}");
}

#[test]
fn completions_know_the_commands_and_the_kinds() {
    let folder = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = run_in(folder.path(), &[], b"", &["completions", shell]);
        assert_eq!(ran.code, 0);
        for word in ["operator-policies", "passwd", "peek", "no-password"] {
            // Fish is not told the values of what has no option.
            let is_known = ran.out.contains(word) || (shell, word) == ("fish", "operator-policies");
            assert!(is_known, "{shell} does not know {word}");
        }
    }
}
