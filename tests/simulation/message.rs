//! Messages that carry a number.

use leveret_core::{Body, Draft, Encoding, Facts, Message};

/// A message that carries its number.
pub fn message(number: u64, bytes: usize) -> Message {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(bytes.max(8), number as u8);
    Message::new(Draft {
        exchange: "",
        routing_key: "q",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Owned(body.into()),
        facts: Facts { persistent: true, qos: 1, ..Facts::default() },
    })
}

/// The number of a message, which has to be as it was made.
pub fn number(message: &Message) -> u64 {
    let (number, rest) = message.body().split_first_chunk().expect("a number and more");
    let number = u64::from_le_bytes(*number);
    assert!(rest.iter().all(|&byte| byte == number as u8), "a message comes back as it went in");
    number
}
