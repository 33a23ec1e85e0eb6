//! However the octets of a conversation arrive, the events are the same, and none panics.

use leveret_amqp::{Config, ServerMethod};
use proptest::prelude::*;

use crate::client::*;

fn client() -> Client {
    let mut client = Client::with_config(Config::default(), 4096);
    client.open_channel(1);
    client.open_channel(2);
    client.feed(&method(1, 85, 10, &[0]));
    client.server.reply(2, ServerMethod::BasicQosOk);
    client.sent();
    client
}

fn item() -> impl Strategy<Value = Vec<u8>> {
    let content = proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        4 => (1..=2u16, "[a-zé.]{0,12}", content).prop_map(|(channel, key, octets)| {
            let mut out = publish_method(channel, "amq.topic", &key, 1);
            out.extend(header(channel, octets.len() as u64, &[0x10, 0, 2]));
            for piece in octets.chunks(100) {
                out.extend(body(channel, piece));
            }
            out
        }),
        1 => Just(frame(8, 0, b"")),
        1 => (0..3u16).prop_map(|count| method(1, 60, 10, &[0, 0, 0, 0, 0, count as u8, 0])),
        1 => Just([publish_method(2, "", "q", 0), header(2, 0, &[0, 0])].concat()),
    ]
}

/// Feeds pieces that end at the given positions.
fn feed_split(client: &mut Client, octets: &[u8], cuts: &[usize]) -> Vec<String> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (octets.len() + 1)).collect();
    cuts.extend([0, octets.len()]);
    cuts.sort_unstable();
    cuts.windows(2).flat_map(|pair| client.feed(&octets[pair[0]..pair[1]])).collect()
}

#[test]
fn octet_by_octet_is_the_same_as_at_once() {
    let octets = [
        publish(1, "amq.topic", "a.b", b"hello"),
        publish(1, "", "empty", b""),
        publish(2, "", "q", &[7; 3000]),
        close(2),
        settle(1, 80, 4, 0),
    ]
    .concat();
    let (mut whole, mut slow) = (client(), client());
    let expected = whole.feed(&octets);
    assert_eq!(expected.len(), 5);
    let every: Vec<usize> = (0..octets.len()).collect();
    assert_eq!(feed_split(&mut slow, &octets, &every), expected);
    assert_eq!(slow.octets(), whole.octets());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_split_gives_the_same_events(
        items in proptest::collection::vec(item(), 1..12),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        let octets = items.concat();
        let (mut whole, mut split) = (client(), client());
        let expected = whole.feed(&octets);
        prop_assert_eq!(feed_split(&mut split, &octets, &cuts), expected);
        prop_assert_eq!(split.octets(), whole.octets());
    }

    #[test]
    fn a_stream_with_damage_gives_the_same_events_and_no_panic(
        items in proptest::collection::vec(item(), 1..6),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut octets = items.concat();
        for (at, octet) in damage {
            let at = at % octets.len();
            octets[at] = octet;
        }
        let (mut whole, mut split) = (client(), client());
        let expected = whole.feed(&octets);
        prop_assert_eq!(feed_split(&mut split, &octets, &cuts), expected);
        prop_assert_eq!(split.octets(), whole.octets());
    }

    #[test]
    fn no_octets_at_all_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        Client::fresh(Config::default()).feed(&octets);
        let mut client = client();
        client.feed(&octets);
        let framed = frame(1, 1, &octets);
        self::client().feed(&framed);
        self::client().feed(&[publish_method(1, "", "", 0), frame(2, 1, &octets)].concat());
    }
}
