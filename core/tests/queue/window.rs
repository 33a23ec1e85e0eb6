//! A window over the consumers of several queues: all of them get everything in the end, and no more
//! than the window is ever on its way.

use std::collections::VecDeque;
use std::sync::Arc;

use leveret_core::{
    ConnectionId, ConsumerId, ConsumerOptions, Effects, Queue, QueueId, QueueSettings, SharedWindow,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::steps::Publish;

const QUEUES: usize = 4;
const WINDOW_BYTES: usize = 2_000;
const BODY_BYTES_MAX: usize = 900;

/// A connection with a consumer on each queue, as the server has it.
struct Connection {
    queues: Vec<Queue>,
    fx: Effects,
    window: Arc<SharedWindow>,
    /// Queues whose consumers wait for the window.
    line: VecDeque<usize>,
    unwritten: VecDeque<usize>,
    delivered: [usize; QUEUES],
}

impl Connection {
    fn new() -> Self {
        let window = Arc::new(SharedWindow::new(WINDOW_BYTES));
        let mut queues = Vec::new();
        for number in 0..QUEUES {
            let mut queue = Queue::new(QueueId(number as u64), QueueSettings::default());
            let options = ConsumerOptions {
                no_ack: true,
                exclusive: false,
                priority: 0,
                prefetch: 0,
                shared: None,
                window_bytes: usize::MAX / 2,
                shared_window: Some(window.clone()),
            };
            queue.consume(id(number), options).unwrap();
            queues.push(queue);
        }
        let fx = Effects { resident_bytes_free: 1 << 30, ..Effects::default() };
        let (line, unwritten, delivered) = (VecDeque::new(), VecDeque::new(), [0; QUEUES]);
        Connection { queues, fx, window, line, unwritten, delivered }
    }

    fn publish(&mut self, queue: usize, body_bytes: usize) {
        let message = Publish::of_bytes("m", body_bytes, false);
        let placement = self.queues[queue].place(&message, None, false).unwrap();
        self.queues[queue].publish(placement, message, None, 0, &mut self.fx);
        self.queues[queue].pump(0, &mut self.fx);
        self.take_mail();
    }

    fn take_mail(&mut self) {
        for delivery in self.fx.deliveries.drain(..) {
            self.delivered[delivery.queue.0 as usize] += 1;
            self.unwritten.push_back(delivery.message.size_bytes());
        }
        let stalled = self.fx.stalled.drain(..).map(|consumer| consumer.number as usize);
        self.line.extend(stalled);
        assert!(self.line.len() <= QUEUES, "each stands there once");
        self.call_up();
    }

    fn call_up(&mut self) {
        while self.window.has_room()
            && let Some(queue) = self.line.pop_front()
        {
            self.queues[queue].call_up(id(queue));
            self.queues[queue].pump(0, &mut self.fx);
            self.take_mail();
        }
    }

    fn write(&mut self) {
        if let Some(bytes) = self.unwritten.pop_front() {
            self.window.give_back(bytes);
            self.call_up();
        }
    }
}

fn id(number: usize) -> ConsumerId {
    ConsumerId { connection: ConnectionId(1), number: number as u64 }
}

proptest! {
    #[test]
    fn a_window_is_never_exceeded_by_more_than_a_message_and_nobody_waits_for_ever(
        steps in vec((0..QUEUES, 0..BODY_BYTES_MAX, any::<bool>()), 0..200),
    ) {
        let (mut connection, mut published) = (Connection::new(), [0; QUEUES]);
        for (queue, body_bytes, writes) in steps {
            connection.publish(queue, body_bytes);
            published[queue] += 1;
            if writes {
                connection.write();
            }
            let on_the_way: usize = connection.unwritten.iter().sum();
            prop_assert!(on_the_way < WINDOW_BYTES + 2 * BODY_BYTES_MAX);
            let waits = published.iter().sum::<usize>() > connection.delivered.iter().sum();
            prop_assert!(!waits || on_the_way >= WINDOW_BYTES, "there is room and somebody waits");
        }
        while !connection.unwritten.is_empty() {
            connection.write();
        }
        prop_assert_eq!(connection.delivered, published);
    }
}

#[test]
fn those_who_wait_for_a_window_get_it_in_turn() {
    let mut connection = Connection::new();
    for _ in 0..10 {
        (0..QUEUES).for_each(|queue| connection.publish(queue, WINDOW_BYTES));
    }
    for round in 1..10 {
        (0..QUEUES).for_each(|_| connection.write());
        let fair = connection.delivered.iter().all(|&count| count.abs_diff(round) <= 1);
        assert!(fair, "{:?} after {round} rounds", connection.delivered);
    }
}
