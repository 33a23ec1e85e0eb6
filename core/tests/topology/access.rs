//! Who may do what, and in which words it is refused.

use leveret_core::{
    Actor, Authority, Judge, NamePattern, Permissions, ResourceKind, Right, TopicPattern,
    TopicPermissions, TopologyErrorKind, Wanted,
};

use super::*;

const JO: Actor<'static> =
    Actor { user: "jo", vhost: VHOST, client_id: None, authority: Authority::Permissions };

/// A pattern for names.
pub fn pattern(text: &str) -> NamePattern {
    text.parse().unwrap()
}

fn permit(configure: &str, write: &str, read: &str) -> TopologyCommand {
    let (configure, write, read) = (pattern(configure), pattern(write), pattern(read));
    let permissions = Permissions { configure, write, read };
    TopologyCommand::SetPermissions { user: "jo".into(), vhost: VHOST.into(), permissions }
}

fn permit_topics(write: &str, read: &str) -> TopologyCommand {
    let topic = |text| TopicPattern::parse(text).unwrap();
    TopologyCommand::SetTopicPermissions {
        user: "jo".into(),
        vhost: VHOST.into(),
        exchange: "amq.topic".into(),
        permissions: TopicPermissions { write: topic(write), read: topic(read) },
    }
}

/// With the user `jo`, who may do so much.
fn with(configure: &str, write: &str, read: &str) -> Fixture {
    let mut fixture = Fixture::new();
    let name = "jo".into();
    let put = TopologyCommand::PutUser {
        name,
        password_hash: String::new(),
        scram_keys: String::new(),
        tags: Vec::new(),
    };
    fixture.apply(put).unwrap();
    fixture.apply(permit(configure, write, read)).unwrap();
    fixture
}

fn refusal<T: std::fmt::Debug>(result: Result<T, TopologyError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), TopologyErrorKind::AccessRefused);
    error.to_string()
}

#[test]
fn the_operator_may_do_everything_and_is_not_the_user_of_that_name() {
    let mut fixture = with("^$", "^$", "^$");
    fixture.apply(permit_topics("^$", "^$")).unwrap();
    let (topology, operator) = (fixture.topology, Actor { authority: Authority::Operator, ..JO });
    for right in [Right::Configure, Right::Write, Right::Read] {
        assert!(topology.check_queue_right(JO, right, "q").is_err());
        assert!(topology.check_queue_right(operator, right, "q").is_ok());
    }
    assert!(topology.check_publish_by(operator, "amq.topic", &["a"]).is_ok());
    assert!(topology.reads_all_topics(operator, "amq.topic"));
}

#[test]
fn a_refusal_says_what_is_missing() {
    let topology = with("^c", "^w", "^r").topology;
    let queue = |right, name| topology.check_queue_right(JO, right, name);
    assert!(queue(Right::Configure, "c").is_ok() && queue(Right::Read, "r").is_ok());
    assert_eq!(
        refusal(queue(Right::Configure, "x")),
        "configure access to queue 'x' in vhost '/' refused for user 'jo'"
    );
    assert_eq!(
        refusal(topology.check_exchange_right(JO, Right::Read, "w")),
        "read access to exchange 'w' in vhost '/' refused for user 'jo'"
    );
    assert_eq!(
        refusal(topology.check_exchange_right(JO, Right::Write, "")),
        "write access to exchange 'amq.default' in vhost '/' refused for user 'jo'"
    );
    for stranger in [Actor { user: "al", ..JO }, Actor { vhost: "v", ..JO }] {
        assert!(topology.check_queue_right(stranger, Right::Configure, "c").is_err());
    }
}

#[test]
fn any_right_is_enough_to_look() {
    let topology = with("^c", "^w", "^r").topology;
    for name in ["c", "w", "r"] {
        assert!(topology.check_any_right(JO, (ResourceKind::Queue, name)).is_ok());
    }
    assert!(topology.check_any_right(JO, (ResourceKind::Exchange, "x")).is_err());
}

#[test]
fn a_new_queue_with_dead_letters_needs_the_rights_to_move_them() {
    let mut fixture = with("^q", "", "");
    let arguments = Table(vec![("x-dead-letter-exchange".to_owned(), "dlx".into())]);
    let spec = QueueSpec { arguments, ..QueueSpec::default() };
    let check = |fixture: &Fixture| fixture.topology.check_declare_queue(JO, "q", &spec);
    assert!(fixture.topology.check_declare_queue(JO, "q", &QueueSpec::default()).is_ok());
    assert_eq!(
        refusal(check(&fixture)),
        "read access to queue 'q' in vhost '/' refused for user 'jo'"
    );
    fixture.apply(permit("^q", "", "^q")).unwrap();
    assert_eq!(
        refusal(check(&fixture)),
        "write access to exchange 'dlx' in vhost '/' refused for user 'jo'"
    );
    fixture.apply(permit("^q", "^dlx$", "^q")).unwrap();
    assert!(check(&fixture).is_ok());
    fixture.queue("q");
    fixture.apply(permit("^q", "", "")).unwrap();
    assert!(check(&fixture).is_ok(), "it is there already");
}

#[test]
fn a_new_exchange_with_an_alternate_needs_the_rights_to_send_on() {
    let mut fixture = with("^x", "", "^x");
    let arguments = Table(vec![("alternate-exchange".to_owned(), "ae".into())]);
    let spec = ExchangeSpec { arguments, ..ExchangeSpec::durable(ExchangeKind::Fanout) };
    let check = |fixture: &Fixture| fixture.topology.check_declare_exchange(JO, "x", &spec);
    assert_eq!(
        refusal(check(&fixture)),
        "write access to exchange 'ae' in vhost '/' refused for user 'jo'"
    );
    fixture.apply(permit("^x", "^ae$", "")).unwrap();
    assert_eq!(
        refusal(check(&fixture)),
        "read access to exchange 'x' in vhost '/' refused for user 'jo'"
    );
    fixture.apply(permit("^x", "^ae$", "^x")).unwrap();
    assert!(check(&fixture).is_ok());
}

#[test]
fn a_binding_writes_to_its_destination_and_reads_from_its_source() {
    let mut fixture = with("", "^q$", "^amq");
    let queue = fixture.queue("q");
    let check = |fixture: &Fixture, source: &str, destination: &str| {
        let binding = Binding::to_queue(source, queue, "k");
        fixture.topology.check_bind(JO, &binding, destination)
    };
    assert!(check(&fixture, "amq.topic", "q").is_ok());
    assert_eq!(
        refusal(check(&fixture, "other", "q")),
        "read access to exchange 'other' in vhost '/' refused for user 'jo'"
    );
    assert_eq!(
        refusal(check(&fixture, "other", "r")),
        "write access to queue 'r' in vhost '/' refused for user 'jo'"
    );
    let to_exchange = between("amq.topic", "x", "k");
    assert_eq!(
        refusal(fixture.topology.check_bind(JO, &to_exchange, "x")),
        "write access to exchange 'x' in vhost '/' refused for user 'jo'"
    );
    fixture.apply(permit_topics(".*", "^mine")).unwrap();
    assert_eq!(
        refusal(check(&fixture, "amq.topic", "q")),
        "read access to topic 'k' in exchange 'amq.topic' in vhost '/' refused for user 'jo'"
    );
    assert!(check(&fixture, "amq.direct", "q").is_ok(), "it is about topic exchanges only");
}

#[test]
fn a_publish_needs_the_exchange_and_every_topic() {
    let mut fixture = with("", "^amq", "");
    let publish = |fixture: &Fixture, exchange: &str, keys: &[&str]| {
        fixture.topology.check_publish_by(JO, exchange, keys)
    };
    assert!(publish(&fixture, "amq.topic", &["a"]).is_ok());
    assert_eq!(
        refusal(publish(&fixture, "absent", &["a"])),
        "write access to exchange 'absent' in vhost '/' refused for user 'jo'"
    );
    assert!(publish(&fixture, "amq.absent", &["a"]).unwrap_err().to_string().starts_with("no "));
    assert!(refusal(publish(&fixture, "amq.rabbitmq.trace", &["a"])).starts_with("cannot publish"));
    fixture.apply(permit_topics("^{username}\\.", "")).unwrap();
    assert!(publish(&fixture, "amq.topic", &["jo.a", "jo.b"]).is_ok());
    assert_eq!(
        refusal(publish(&fixture, "amq.topic", &["jo.a", "al.b"])),
        "write access to topic 'al.b' in exchange 'amq.topic' in vhost '/' refused for user 'jo'"
    );
    assert!(publish(&fixture, "amq.direct", &["al.b"]).is_ok());
}

#[test]
fn a_route_is_looked_up_again_when_rights_change() {
    let mut fixture = with("", "", "");
    let clear = |exchange: Option<&str>| TopologyCommand::ClearTopicPermissions {
        user: "jo".into(),
        vhost: VHOST.into(),
        exchange: exchange.map(Into::into),
    };
    let unpermit = TopologyCommand::ClearPermissions { user: "jo".into(), vhost: VHOST.into() };
    let leave = TopologyCommand::DeleteUser { name: "jo".into() };
    let some = Some("amq.topic");
    for command in [
        permit("a", "b", "c"),
        permit_topics("a", "b"),
        clear(some),
        permit_topics("a", "b"),
        clear(None),
        unpermit,
        leave,
    ] {
        let before = fixture.topology.generation();
        assert!(fixture.apply(command.clone()).unwrap().outcome.is_change());
        assert!(fixture.topology.generation() > before, "{command:?}");
        let before = fixture.topology.generation();
        assert!(fixture.apply(command).is_ok_and(|applied| !applied.outcome.is_change()));
        assert_eq!(fixture.topology.generation(), before);
        if fixture.topology.user("jo").is_none() {
            break;
        }
    }
}

#[test]
fn topic_permissions_are_in_the_journal_and_the_snapshot_until_their_vhost_goes() {
    let mut fixture = with("", "", "");
    let journaled = fixture.apply(permit_topics("^a", "^b")).unwrap().journal;
    assert_eq!(journaled, [permit_topics("^a", "^b")]);
    assert_eq!(TopologyCommand::from_json(&journaled[0].to_json()).unwrap(), journaled[0]);
    let mut rebuilt = Topology::default();
    for command in fixture.topology.snapshot() {
        rebuilt.replay(command).unwrap();
    }
    assert_eq!(rebuilt.user("jo"), fixture.topology.user("jo"));
    let stored = &rebuilt.user("jo").unwrap().topic_permissions[VHOST]["amq.topic"];
    assert_eq!((stored.write.as_str(), stored.read.as_str()), ("^a", "^b"));
    fixture.apply(TopologyCommand::DeleteVhost { vhost: VHOST.into() }).unwrap();
    assert!(fixture.topology.user("jo").unwrap().topic_permissions.is_empty());
}

#[test]
fn topics_are_permitted_to_known_users_in_known_vhosts() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.refusal(permit_topics("", "")), "no user 'jo'");
    let mut topology = Topology::default();
    assert!(topology.apply(permit_topics("", "")).is_err());
}

/// Knows some things.
#[derive(Debug)]
struct Elsewhere(&'static [(Right, &'static str, bool)]);

impl Judge for Elsewhere {
    fn allows(&self, wanted: &Wanted<'_>) -> Option<bool> {
        let about = wanted.topic.unwrap_or(wanted.name);
        let said = self.0.iter().find(|(right, name, _)| (*right, *name) == (wanted.right, about));
        said.map(|(_, _, is_allowed)| *is_allowed)
    }
}

#[test]
fn what_is_decided_elsewhere_needs_no_user_here_and_waits_until_it_is_known() {
    let topology = with(".*", ".*", ".*").topology;
    let judge = Elsewhere(&[
        (Right::Write, "amq.topic", true),
        (Right::Write, "a.b", true),
        (Right::Write, "a.c", false),
        (Right::Read, "q", false),
        (Right::Write, "q", true),
        (Right::Read, "p", false),
        (Right::Write, "p", false),
        (Right::Configure, "p", false),
    ]);
    for user in ["jo", "nobody"] {
        let actor = Actor { user, authority: Authority::Elsewhere(&judge), ..JO };
        let publish = |key| topology.check_publish_by(actor, "amq.topic", &[key]);
        assert!(publish("a.b").is_ok() && topology.reads_all_topics(actor, "amq.topic"));
        assert_eq!(publish("a.d"), Err(TopologyError::Undecided));
        assert!(refusal(publish("a.c")).starts_with("write access to topic 'a.c'"));
        let any = |name| topology.check_any_right(actor, (ResourceKind::Queue, name));
        assert!(any("q").is_ok());
        assert!(refusal(any("p")).starts_with("configure access to queue 'p'"));
        assert_eq!(any("r"), Err(TopologyError::Undecided));
    }
}
