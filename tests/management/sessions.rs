//! Sessions of browsers: logins that last, by a cookie.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, TcpStream, UdpSocket};

use serde_json::{Value, json};

use crate::support::{Answer, Api, DEADLINE};

const OWN_PAGE: (&str, &str) = ("x-requested-with", "leveret");
const LOGIN: &str = "username=guest&password=guest";

/// A browser with a cookie.
struct Browser<'a> {
    api: &'a Api,
    cookie: String,
}

impl Browser<'_> {
    fn log_in<'a>(api: &'a Api, form: &str) -> Browser<'a> {
        let answer = api.run(None, "POST", "/api/login", &[OWN_PAGE], Some(form.as_bytes()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        Browser { api, cookie: cookie_of(&answer) }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut all = vec![("cookie", &*self.cookie)];
        all.extend(headers);
        let body = (!body.is_null()).then(|| body.to_string());
        let path = format!("/api/{path}");
        self.api.run(None, method, &path, &all, body.as_deref().map(str::as_bytes))
    }

    fn status(&self) -> u16 {
        self.ask("GET", "whoami", &[], Value::Null).status
    }

    /// A form that a page of somebody else's sends.
    fn send_form(&self) -> Answer {
        let login = "username=jo&password=secret".as_bytes();
        let headers = [("cookie", &*self.cookie), ("origin", "http://elsewhere.example")];
        self.api.run(None, "POST", "/api/login", &headers, Some(login))
    }
}

/// The name and the value of the cookie that an answer sets.
fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

fn make_user(api: &Api, name: &str) {
    let user = json!({"password": "secret", "tags": "administrator"});
    assert_eq!(api.put(&format!("users/{name}"), user).status, 201);
}

#[test]
fn a_login_sets_a_cookie_that_no_script_reads_and_no_other_site_sends() {
    let api = Api::start();
    for (form, end, minutes) in [
        (LOGIN, "; Path=/; HttpOnly; SameSite=Strict", 480),
        (
            "username=guest&password=guest&remember=true",
            "; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000",
            43_200,
        ),
    ] {
        let answer = api.run(None, "POST", "/api/login", &[OWN_PAGE], Some(form.as_bytes()));
        let me = json!({
            "name": "guest", "tags": ["administrator"], "is_internal_user": true,
            "login_session_timeout": minutes,
        });
        assert_eq!(answer.json(), me);
        let cookie = cookie_of(&answer);
        assert_eq!(answer.header("set-cookie"), format!("{cookie}{end}"));
        assert_eq!(cookie.len(), "leveret_session=".len() + 43, "256 bits: {cookie}");
        let browser = Browser { api: &api, cookie };
        assert_eq!(browser.ask("GET", "whoami", &[], Value::Null).json(), me);
    }
    let answer = api.run(None, "POST", "/api/login", &[OWN_PAGE], Some(b"username=a&password=b"));
    assert_eq!((answer.status, &*answer.header("set-cookie")), (401, ""));
}

#[test]
fn with_a_cookie_alone_a_request_may_look_and_changes_nothing() {
    let api = Api::start();
    let browser = Browser::log_in(&api, LOGIN);
    let queue = "queues/%2F/q";
    for headers in [&[][..], &[("x-requested-with", "XMLHttpRequest")]] {
        for method in ["PUT", "DELETE"] {
            let answer = browser.ask(method, queue, headers, json!({}));
            let expected = json!({
                "error": "forbidden",
                "reason": "with a cookie, this needs the header X-Requested-With: leveret",
            });
            assert_eq!((answer.status, answer.json()), (403, expected));
        }
    }
    assert_eq!(browser.ask("GET", queue, &[], Value::Null).status, 404);
    assert_eq!(browser.ask("PUT", "queues/%2F/kept", &[OWN_PAGE], json!({})).status, 201);
    for takes in ["queues/%2F/kept/messages", "queues/%2F/kept/messages/stream"] {
        assert_eq!(browser.ask("GET", takes, &[], Value::Null).status, 403, "{takes}");
    }
    assert_eq!(browser.ask("GET", "queues/%2F/kept/peek", &[], Value::Null).status, 200);
    let taken = browser.ask("GET", "queues/%2F/kept/messages", &[OWN_PAGE], Value::Null);
    assert_eq!(taken.status, 204, "nothing waits there");
    assert_eq!(browser.ask("HEAD", "queues", &[], Value::Null).status, 200);
    assert_eq!(browser.ask("PUT", queue, &[OWN_PAGE], json!({})).status, 201);
    assert_eq!(browser.ask("DELETE", queue, &[OWN_PAGE], json!({})).status, 204);
    let elsewhere = [("sec-fetch-site", "cross-site"), OWN_PAGE];
    assert_eq!(browser.ask("GET", "whoami", &elsewhere, Value::Null).status, 403);
    assert_eq!(browser.ask("PUT", queue, &elsewhere, json!({})).status, 403);
    assert_eq!(api.get(queue).status, 404, "nothing was made");
}

#[test]
fn a_page_of_somebody_else_logs_nobody_in_or_out() {
    let api = Api::start();
    make_user(&api, "jo");
    let browser = Browser::log_in(&api, LOGIN);
    let answer = browser.send_form();
    assert_eq!((answer.status, &*answer.header("set-cookie")), (200, ""));
    assert_eq!(browser.ask("DELETE", "login", &[], Value::Null).status, 403);
    assert_eq!(browser.status(), 200);
}

#[test]
fn a_script_needs_no_header_for_a_session() {
    let api = Api::start();
    let answer = api.run(None, "POST", "/api/login", &[], Some(LOGIN.as_bytes()));
    let browser = Browser { api: &api, cookie: cookie_of(&answer) };
    assert_eq!(browser.status(), 200);
}

#[test]
fn a_logout_ends_the_session_and_no_other_one() {
    let api = Api::start();
    let (browser, other) = (Browser::log_in(&api, LOGIN), Browser::log_in(&api, LOGIN));
    let answer = browser.ask("DELETE", "login", &[OWN_PAGE], Value::Null);
    let gone = "leveret_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0";
    assert_eq!((answer.status, &*answer.header("set-cookie")), (204, gone));
    assert_eq!((browser.status(), other.status()), (401, 200));
    let again = other.ask("POST", "login", &[OWN_PAGE], Value::Null);
    assert_eq!((again.status, other.status()), (400, 200), "a login that fails ends nothing");
    let headers = [OWN_PAGE, ("cookie", &*other.cookie)];
    let again = api.run(None, "POST", "/api/login", &headers, Some(LOGIN.as_bytes()));
    assert_eq!((again.status, other.status()), (200, 401), "one browser has one session");
    assert_eq!(Browser { api: &api, cookie: cookie_of(&again) }.status(), 200);
}

#[test]
fn a_session_ends_with_the_password_and_with_the_user() {
    let api = Api::start();
    make_user(&api, "jo");
    let jo = "username=jo&password=secret";
    let (browser, guest) = (Browser::log_in(&api, jo), Browser::log_in(&api, LOGIN));
    assert_eq!(api.put("users/jo", json!({"tags": "administrator"})).status, 204);
    assert_eq!(browser.status(), 200, "the password stays");
    assert_eq!(api.put("users/jo", json!({"tags": ""})).status, 204);
    let answer = browser.ask("GET", "whoami", &[], Value::Null);
    assert_eq!((answer.status, &*answer.reason()), (401, "Not management user"));
    let new = json!({"password": "secret", "tags": "administrator"});
    assert_eq!(api.put("users/jo", new).status, 204);
    assert_eq!(browser.status(), 401, "the password is a new one, though it is the same word");

    let browser = Browser::log_in(&api, jo);
    let hash = api.read("users/jo")["password_hash"].clone();
    assert_eq!(api.delete("users/jo").status, 204);
    assert_eq!(browser.status(), 401);
    let same = json!({"password_hash": hash, "tags": "administrator"});
    assert_eq!(api.put("users/jo", same).status, 201);
    assert_eq!((browser.status(), guest.status()), (401, 200), "it is another user");
}

#[test]
fn a_session_ends_with_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::start_in(leveret::Config::local(folder.path())).unwrap();
    let cookie = Browser::log_in(&api, LOGIN).cookie;
    api.stop();
    let api = Api::start_in(leveret::Config::local(folder.path())).unwrap();
    assert_eq!(Browser { api: &api, cookie }.status(), 401);
}

#[test]
fn a_program_that_is_not_logged_in_gets_no_challenge_that_opens_a_window() {
    let api = Api::start();
    let nobody = Browser { api: &api, cookie: "leveret_session=x".to_owned() };
    let answer = nobody.ask("GET", "whoami", &[OWN_PAGE], Value::Null);
    assert_eq!((answer.status, &*answer.header("www-authenticate")), (401, ""));
    assert_eq!(answer.json(), json!({"error": "not_authorized", "reason": "Not_Authorized"}));
    let answer = nobody.ask("GET", "whoami", &[], Value::Null);
    assert!(answer.header("www-authenticate").starts_with("Basic "));
}

#[test]
fn a_login_in_the_header_counts_more_than_a_cookie() {
    let api = Api::start();
    make_user(&api, "jo");
    let browser = Browser::log_in(&api, LOGIN);
    let cookie = ("cookie", &*browser.cookie);
    let run = |login, method, path| api.run(Some(login), method, path, &[cookie], None);
    let me = run(("jo", "secret"), "GET", "/api/whoami").json();
    assert_eq!((&me["name"], me.get("login_session_timeout")), (&json!("jo"), None));
    assert_eq!(run(("jo", "wrong"), "GET", "/api/whoami").status, 401);
    assert_eq!(run(("jo", "secret"), "DELETE", "/api/users/jo").status, 204, "no header is needed");
}

#[test]
fn metrics_and_streams_take_the_cookie_too() {
    let api = Api::start();
    let browser = Browser::log_in(&api, LOGIN);
    let headers = [("cookie", &*browser.cookie)];
    assert_eq!(api.run(None, "GET", "/metrics", &headers, None).status, 200);
    api.declare_queue("q", json!({}));
    api.publish("q", "one");
    let mut socket = TcpStream::connect(api.address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let path = "/api/queues/%2F/q/messages/stream";
    write!(
        socket,
        "GET {path} HTTP/1.0\r\ncookie: {}\r\n{}: {}\r\n\r\n",
        browser.cookie, OWN_PAGE.0, OWN_PAGE.1
    )
    .unwrap();
    let lines = BufReader::new(socket).lines().map(Result::unwrap);
    let events: Vec<_> = lines.skip_while(|line| !line.is_empty()).skip(1).take(2).collect();
    assert_eq!(events, ["event: message", "data: one"]);
}

#[test]
fn the_cookie_of_a_local_user_is_worth_nothing_elsewhere() {
    let mut elsewhere = IpAddr::from([127, 0, 0, 1]);
    let mut api = Api::start_with(|config| {
        // Nothing is sent: the system only says from which of its addresses it would be.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect("192.0.2.1:9").expect("this test needs a network");
        elsewhere = socket.local_addr().unwrap().ip();
        config.bind = vec![IpAddr::from([0, 0, 0, 0])];
    });
    make_user(&api, "jo");
    let guest = Browser::log_in(&api, LOGIN).cookie;
    let jo = Browser::log_in(&api, "username=jo&password=secret").cookie;
    assert_eq!(Browser { api: &api, cookie: guest.clone() }.status(), 200);
    api.address.set_ip(elsewhere);
    assert_eq!(Browser { api: &api, cookie: guest }.status(), 401);
    assert_eq!(Browser { api: &api, cookie: jo }.status(), 200);
}
