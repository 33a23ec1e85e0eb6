//! The nouns: what can be listed and shown, in one table.

/// A kind of thing.
#[derive(Debug)]
pub struct Noun {
    /// One of them.
    pub singular: &'static str,
    /// Many of them.
    pub plural: &'static str,
    /// Path of the list, below `/api`.
    pub list: &'static str,
    /// How the list is of one virtual host.
    pub vhost: Vhost,
    /// Path of one of them; `""` if the API shows none alone.
    pub one: &'static str,
    /// Whether the list comes in pages.
    pub is_paged: bool,
    /// The columns of a table, the name first.
    pub columns: &'static [&'static str],
}

/// How a list is of one virtual host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vhost {
    /// It has a path of its own.
    Path(&'static str),
    /// Its rows say where they are.
    Column,
    /// Not at all.
    None,
}

impl Noun {
    /// The noun of which there are many.
    pub fn of_plural(plural: &str) -> &'static Noun {
        NOUNS.iter().find(|noun| noun.plural == plural).expect("the command line knows these")
    }

    /// The noun of which there is one.
    pub fn of_singular(singular: &str) -> &'static Noun {
        NOUNS.iter().find(|noun| noun.singular == singular).expect("the command line knows these")
    }
}

/// What can be listed.
pub fn plurals() -> Vec<&'static str> {
    NOUNS.iter().map(|noun| noun.plural).collect()
}

/// What can be shown.
pub fn singulars() -> Vec<&'static str> {
    NOUNS.iter().filter(|noun| !noun.one.is_empty()).map(|noun| noun.singular).collect()
}

/// In the order in which help shows them.
const NOUNS: [Noun; 19] = [
    Noun {
        singular: "queue",
        plural: "queues",
        list: "queues",
        vhost: Vhost::Path("queues/{vhost}"),
        one: "queues/{vhost}/{name}",
        is_paged: true,
        columns: &[
            "name",
            "vhost",
            "type",
            "messages_ready",
            "messages_unacknowledged",
            "consumers",
            "policy",
        ],
    },
    Noun {
        singular: "exchange",
        plural: "exchanges",
        list: "exchanges",
        vhost: Vhost::Path("exchanges/{vhost}"),
        one: "exchanges/{vhost}/{name}",
        is_paged: true,
        columns: &["name", "vhost", "type", "durable", "auto_delete", "internal", "policy"],
    },
    Noun {
        singular: "binding",
        plural: "bindings",
        list: "bindings",
        vhost: Vhost::Path("bindings/{vhost}"),
        one: "",
        is_paged: false,
        columns: &[
            "destination",
            "destination_type",
            "source",
            "vhost",
            "routing_key",
            "arguments",
        ],
    },
    Noun {
        singular: "connection",
        plural: "connections",
        list: "connections",
        vhost: Vhost::Path("vhosts/{vhost}/connections"),
        one: "connections/{name}",
        is_paged: true,
        columns: &["name", "user", "vhost", "protocol", "state", "channels"],
    },
    Noun {
        singular: "channel",
        plural: "channels",
        list: "channels",
        vhost: Vhost::Path("vhosts/{vhost}/channels"),
        one: "channels/{name}",
        is_paged: true,
        columns: &[
            "name",
            "user",
            "vhost",
            "consumer_count",
            "prefetch_count",
            "messages_unacknowledged",
        ],
    },
    Noun {
        singular: "consumer",
        plural: "consumers",
        list: "consumers",
        vhost: Vhost::Path("consumers/{vhost}"),
        one: "",
        is_paged: false,
        columns: &[
            "consumer_tag",
            "queue.name",
            "queue.vhost",
            "channel_details.name",
            "ack_required",
            "prefetch_count",
            "active",
        ],
    },
    Noun {
        singular: "session",
        plural: "sessions",
        list: "mqtt/sessions",
        vhost: Vhost::None,
        one: "mqtt/sessions/{name}",
        is_paged: true,
        columns: &[
            "client_id",
            "connected",
            "connection.user",
            "subscriptions",
            "messages_ready",
            "messages_in_flight",
            "expiry_interval",
        ],
    },
    Noun {
        singular: "subscription",
        plural: "subscriptions",
        list: "mqtt/subscriptions",
        vhost: Vhost::None,
        one: "",
        is_paged: true,
        columns: &["topic_filter", "client_id", "qos", "no_local", "retain_as_published"],
    },
    Noun {
        singular: "node",
        plural: "nodes",
        list: "nodes",
        vhost: Vhost::None,
        one: "nodes/{name}",
        is_paged: false,
        columns: &[
            "name",
            "running",
            "uptime",
            "mem_used",
            "mem_alarm",
            "disk_free",
            "disk_free_alarm",
        ],
    },
    Noun {
        singular: "vhost",
        plural: "vhosts",
        list: "vhosts",
        vhost: Vhost::None,
        one: "vhosts/{name}",
        is_paged: false,
        columns: &["name", "description", "tags", "messages", "protected_from_deletion"],
    },
    Noun {
        singular: "user",
        plural: "users",
        list: "users",
        vhost: Vhost::None,
        one: "users/{name}",
        is_paged: false,
        columns: &["name", "tags", "limits"],
    },
    Noun {
        singular: "permissions",
        plural: "permissions",
        list: "permissions",
        vhost: Vhost::Path("vhosts/{vhost}/permissions"),
        one: "permissions/{vhost}/{user}",
        is_paged: false,
        columns: &["user", "vhost", "configure", "write", "read"],
    },
    Noun {
        singular: "topic-permissions",
        plural: "topic-permissions",
        list: "topic-permissions",
        vhost: Vhost::Path("vhosts/{vhost}/topic-permissions"),
        one: "",
        is_paged: false,
        columns: &["user", "vhost", "exchange", "write", "read"],
    },
    Noun {
        singular: "policy",
        plural: "policies",
        list: "policies",
        vhost: Vhost::Path("policies/{vhost}"),
        one: "policies/{vhost}/{name}",
        is_paged: false,
        columns: &["name", "vhost", "pattern", "apply-to", "priority", "definition"],
    },
    Noun {
        singular: "operator-policy",
        plural: "operator-policies",
        list: "operator-policies",
        vhost: Vhost::Path("operator-policies/{vhost}"),
        one: "operator-policies/{vhost}/{name}",
        is_paged: false,
        columns: &["name", "vhost", "pattern", "apply-to", "priority", "definition"],
    },
    Noun {
        singular: "vhost-limits",
        plural: "vhost-limits",
        list: "vhost-limits",
        vhost: Vhost::Path("vhost-limits/{vhost}"),
        one: "",
        is_paged: false,
        columns: &["vhost", "value.max-connections", "value.max-queues"],
    },
    Noun {
        singular: "user-limits",
        plural: "user-limits",
        list: "user-limits",
        vhost: Vhost::None,
        one: "",
        is_paged: false,
        columns: &["user", "value.max-connections", "value.max-channels"],
    },
    Noun {
        singular: "parameter",
        plural: "parameters",
        list: "parameters",
        vhost: Vhost::Column,
        one: "parameters/{component}/{vhost}/{name}",
        is_paged: false,
        columns: &["name", "component", "vhost", "value"],
    },
    Noun {
        singular: "global-parameter",
        plural: "global-parameters",
        list: "global-parameters",
        vhost: Vhost::None,
        one: "global-parameters/{name}",
        is_paged: false,
        columns: &["name", "value"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_noun_is_found_by_both_of_its_names() {
        for noun in &NOUNS {
            assert_eq!(Noun::of_plural(noun.plural).list, noun.list);
            assert_eq!(Noun::of_singular(noun.singular).list, noun.list);
        }
        assert!(!singulars().contains(&"binding"));
    }
}
