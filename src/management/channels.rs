//! AMQP channels.

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::connections::{self, Connected};
use super::error::Refusal;
use super::rates::{self, Thing};
use super::{consumers, list, node, sampler};
use crate::server::connections::ChannelFacts;

struct Row<'a> {
    connected: &'a Connected,
    number: u16,
    facts: ChannelFacts,
    name: String,
}

impl Row<'_> {
    fn names(&self) -> [&str; 3] {
        let [_, user, client] = self.connected.names();
        [&self.name, user, client]
    }
}

/// `GET /channels` and `/vhosts/:vhost/channels`.
pub fn list(call: &Call) -> Answer {
    answer(call, &connections::visible(call)?)
}

/// `GET /connections/:connection/channels`.
pub fn of_connection(call: &Call) -> Answer {
    let connected = connections::find(call)?;
    answer(call, std::slice::from_ref(&connected))
}

/// `GET /channels/:channel`.
pub fn show(call: &Call) -> Answer {
    let wanted = call.part("channel");
    let visible = connections::visible(call)?;
    let of = visible.iter().filter(|it| wanted.starts_with(&it.name));
    let found = of.flat_map(rows).find(|row| row.name == wanted);
    let row = found.ok_or_else(Refusal::no_such_object)?;
    let mut channel = describe(call, &row);
    channel["consumer_details"] = consumers::of_channel(call, row.connected, row.number);
    list::answer_one(call, channel)
}

fn answer(call: &Call, connected: &[Connected]) -> Answer {
    let rows = connected.iter().flat_map(rows).collect();
    let render = |rows: &[&Row<'_>]| rows.iter().map(|row| Some(describe(call, row))).collect();
    list::answer(call, rows, Row::names, render)
}

fn rows(connected: &Connected) -> Vec<Row<'_>> {
    let row = |(&number, facts): (&u16, &ChannelFacts)| {
        let name = format!("{} ({number})", connected.name);
        Row { connected, number, facts: facts.clone(), name }
    };
    connected.peer.activity().channels.iter().map(row).collect()
}

fn describe(call: &Call, row: &Row<'_>) -> Value {
    let Row { connected, number, facts, name } = row;
    let thing = Thing::Channel(connected.peer.id, *number);
    let messages = call.measure(thing, &sampler::of_channel(facts));
    json!({
        "name": name,
        "number": number,
        "node": node::name(),
        "vhost": &*connected.login.vhost,
        "user": connected.login.user,
        "user_who_performed_action": connected.login.user,
        "connection_details": {
            "name": connected.name,
            "peer_host": connected.peer_host(),
            "peer_port": connected.peer.link.peer.port(),
        },
        "state": "running",
        "confirm": facts.confirm,
        "transactional": facts.transactional,
        "consumer_count": facts.consumers,
        "messages_unacknowledged": facts.unacked,
        "messages_unconfirmed": facts.unconfirmed,
        "messages_uncommitted": facts.uncommitted,
        "acks_uncommitted": facts.acks_uncommitted,
        "prefetch_count": facts.prefetch,
        "global_prefetch_count": facts.global_prefetch,
        "message_stats": rates::object(&messages),
    })
}
