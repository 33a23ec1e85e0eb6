//! A shard and the model, side by side: each step is taken by both, and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leveret_core::record::{Origin, Packet};
use leveret_core::{
    ConnectionId, ConsumerId, ConsumerOptions, Effects, EntryIndex, Facts, Got, Queue, QueueId,
    QueueSettings, Settlement, SharedPrefetch, Subscription, Target,
};

use super::executor::{Done, Executor};
use super::model::{Consumer, Expected, Model, Place, Shared};
use super::steps::{Publish, QUEUES, SESSION, Step, all_settings, message};

/// A shard, and what it should be.
pub struct World {
    pub shard: Executor,
    pub models: Vec<Model>,
    /// The QoS 2 packets that were published and not released, and the queues whose part in that is
    /// recorded.
    packets: BTreeMap<Packet, Vec<QueueId>>,
    /// Those of them that the last snapshot knows.
    known: BTreeSet<Packet>,
    shared: Arc<SharedPrefetch>,
    shares: Shared,
    now_ms: u64,
    numbers: u64,
}

impl World {
    pub fn new(budget_bytes: i64) -> Self {
        let mut world = World {
            shard: Executor::new(budget_bytes),
            models: Vec::new(),
            packets: BTreeMap::new(),
            known: BTreeSet::new(),
            shared: Arc::default(),
            shares: Shared::default(),
            now_ms: 1000,
            numbers: 0,
        };
        for (number, settings) in all_settings().into_iter().enumerate() {
            let id = QueueId(number as u64);
            world.shard.state.create(id, settings);
            world.models.push(Model::new(id, settings));
        }
        world.numbers = QUEUES as u64;
        world
    }

    pub fn queues(&self) -> Vec<(QueueId, QueueSettings)> {
        self.models.iter().map(|model| (model.id, model.settings)).collect()
    }

    pub fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish(ref publish) => (0..publish.count).for_each(|_| self.publish(publish)),
            Step::Consume { queue, no_ack, exclusive, prefetch, window_bytes } => {
                let shares = queue < SESSION;
                let (id, window_bytes) = (self.consumer(), window_bytes as i64);
                let unwritten_bytes = 0;
                self.consume(
                    queue,
                    Consumer {
                        id,
                        no_ack,
                        exclusive,
                        shares,
                        prefetch,
                        window_bytes,
                        unwritten_bytes,
                    },
                );
            }
            Step::Written { queue, pick, all } => self.written(queue, pick, all),
            Step::Settle { queue, pick, settlement, count } => {
                (0..count).for_each(|_| self.settle(queue, pick, settlement));
            }
            Step::SettleOfOther { queue, pick } => self.settle_of_other(queue, pick),
            Step::Get { queue, no_ack } => self.get(queue, no_ack),
            Step::Cancel { queue, pick } => self.cancel(queue, pick),
            Step::Receive { queue, pick } => self.receive(queue, pick),
            Step::TakeOver { prefetch } => self.take_over(prefetch),
            Step::Release { packet } => {
                let packet = self.packet(packet);
                self.known.remove(&packet);
                let recorded =
                    self.packets.remove(&packet).is_some_and(|queues| !queues.is_empty());
                assert_eq!(self.shard.release(packet), recorded);
            }
            Step::Purge { queue } => self.purge(queue),
            Step::Fetched { loses } => self.fetched(loses),
            Step::Wait { ms } => {
                self.now_ms += ms;
                (0..QUEUES).for_each(|queue| self.on(queue, |_, _| {}));
            }
            Step::ShareLimit(limit) => {
                self.shared.set_limit(limit);
                self.shares.limit = limit;
                (0..QUEUES).for_each(|queue| self.on(queue, |_, _| {}));
            }
            Step::Recreate { queue } => self.recreate(queue),
            Step::Checkpoint => {
                self.models.iter_mut().for_each(Model::checkpoint);
                let recorded = self.packets.iter().filter(|(_, recorded)| !recorded.is_empty());
                self.known = recorded.map(|(&packet, _)| packet).collect();
                let queues = self.queues();
                self.shard.checkpoint(&queues);
            }
            Step::Restart => self.restart(),
        }
    }

    fn publish(&mut self, publish: &Publish) {
        self.numbers += 1;
        let text = format!("m{}", self.numbers);
        let facts = Facts {
            persistent: publish.qos > 0,
            qos: publish.qos,
            priority: publish.priority,
            expires_at_ms: publish.expires_in_ms.map(|ms| self.now_ms + ms),
            ..Facts::default()
        };
        let message = message(&text, publish.body_bytes, facts);
        let subscription = Arc::new(Subscription { qos: publish.granted, ..Default::default() });
        let chosen = (0..QUEUES).filter(|queue| publish.queues & (1 << queue) != 0);
        let targets: Vec<Target> = chosen
            .map(|queue| Target {
                queue: self.models[queue].id,
                durable: self.models[queue].settings.durable,
                subscription: (queue >= SESSION).then(|| subscription.clone()),
                deduplication: None,
            })
            .collect();
        let origin = publish.packet.map(|packet| Origin { packet: self.packet(packet), shards: 1 });
        let (placed, done) = self.shard.publish(self.now_ms, &targets, &message, origin);
        let is_repeated = origin.is_some_and(|origin| self.packets.contains_key(&origin.packet));
        let mut placed = placed.into_iter();
        for target in targets.iter().filter(|_| !is_repeated) {
            let model = self.models.iter_mut().find(|model| model.id == target.queue).unwrap();
            let qos = target.subscription.as_ref().map(|_| publish.granted.min(publish.qos));
            if qos == Some(0) && model.consumers.is_empty() {
                continue;
            }
            let place = placed.next().expect("no queue is full");
            let entry = model.admit(&message, qos, &text);
            assert_eq!((place.durable, place.sequence), (entry.durable, entry.sequence));
            assert_eq!((place.queue, place.index.0 + 1), (model.id, model.next_index));
            if let Some(origin) = origin {
                let recorded = place.durable.then_some(place.queue);
                self.packets.entry(origin.packet).or_default().extend(recorded);
            }
        }
        assert!(placed.next().is_none());
        self.judge(&done, Expected::default());
    }

    fn consume(&mut self, queue: usize, consumer: Consumer) {
        let options = ConsumerOptions {
            no_ack: consumer.no_ack,
            exclusive: consumer.exclusive,
            priority: 0,
            prefetch: consumer.prefetch,
            shared: consumer.shares.then(|| self.shared.clone()),
            window_bytes: consumer.window_bytes as usize,
            shared_window: None,
        };
        let others = &self.models[queue].consumers;
        let refused = others.iter().any(|other| other.exclusive)
            || (consumer.exclusive && !others.is_empty());
        let id = consumer.id;
        if !refused {
            self.models[queue].consumers.push(consumer);
        }
        self.on(queue, |queue, _| assert_eq!(queue.consume(id, options).is_err(), refused));
    }

    fn written(&mut self, queue: usize, pick: usize, all: bool) {
        let Some(consumer) = picked(&mut self.models[queue].consumers, pick) else { return };
        let id = consumer.id;
        let bytes = if all { consumer.unwritten_bytes } else { consumer.unwritten_bytes / 2 };
        consumer.unwritten_bytes -= bytes;
        self.on(queue, |queue, _| queue.written(id, bytes as usize));
    }

    fn settle(&mut self, queue: usize, pick: usize, settlement: Settlement) {
        let model = &mut self.models[queue];
        let Some(&(index, holder)) = picked(&mut model.held(), pick).as_deref() else { return };
        let settlement = match settlement {
            Settlement::Requeue if model.is_received(index) => Settlement::Ack,
            settlement => settlement,
        };
        let mut expected = Expected::default();
        model.settle(index, settlement, &mut self.shares, &mut expected);
        let act = |queue: &mut Queue, fx: &mut Effects| {
            queue.settle(holder, EntryIndex(index), settlement, fx);
        };
        self.on_expecting(queue, expected, act);
    }

    fn settle_of_other(&mut self, queue: usize, pick: usize) {
        let Some(&(index, _)) = picked(&mut self.models[queue].held(), pick).as_deref() else {
            return;
        };
        let other = self.consumer();
        self.on(queue, |queue, fx| {
            queue.settle(other, EntryIndex(index), Settlement::Ack, fx);
            assert!(!queue.receive(other, EntryIndex(index), fx));
        });
    }

    fn get(&mut self, queue: usize, no_ack: bool) {
        let (holder, now_ms) = (self.consumer(), self.now_ms);
        let id = self.models[queue].id;
        self.models[queue].expire(now_ms);
        let (got, done) = self
            .shard
            .post(|state, fx, _| state.queue(id).unwrap().get(holder, no_ack, now_ms, fx));
        let mut expected = Expected::default();
        match got {
            Got::Message(delivery, left) => {
                self.models[queue].got(&delivery, no_ack, &mut expected);
                assert_eq!(self.shard.state.queue(id).unwrap().stats().ready, left);
            }
            Got::Empty => assert_eq!(self.shard.state.queue(id).unwrap().stats().ready, 0),
            Got::Fetching => assert!(self.is_fetching(id)),
        }
        self.judge(&done, expected);
    }

    fn cancel(&mut self, queue: usize, pick: usize) {
        let model = &mut self.models[queue];
        if model.consumers.is_empty() {
            return;
        }
        let at = pick % model.consumers.len();
        if queue >= SESSION {
            let id = model.detach(at);
            return self.on(queue, |queue, fx| queue.detach(id, fx));
        }
        let (id, consumer) = (model.id, model.remove_consumer(at).id);
        let goes = model.settings.auto_delete && model.consumers.is_empty();
        let ((), done) =
            self.shard.post(|state, fx, _| state.queue(id).unwrap().cancel(consumer, fx));
        assert_eq!(done.unused, if goes { vec![id] } else { vec![] });
        self.judge(&done, Expected::default());
    }

    fn receive(&mut self, queue: usize, pick: usize) {
        let model = &mut self.models[queue];
        let Some(&(index, holder)) = picked(&mut model.held(), pick).as_deref() else { return };
        let entry = model.entries.get_mut(&index).unwrap();
        if let Place::Held { received, .. } = &mut entry.place {
            *received = true;
        }
        let (id, durable) = (model.id, entry.durable);
        assert_eq!(self.shard.receive(id, holder, EntryIndex(index)), durable);
    }

    /// A client comes back to its session while another connection may have it.
    fn take_over(&mut self, prefetch: u32) {
        while !self.models[SESSION].consumers.is_empty() {
            self.cancel(SESSION, 0);
        }
        let by = self.consumer();
        let mut received = Vec::new();
        for (&index, entry) in &mut self.models[SESSION].entries {
            if entry.place == Place::Away {
                entry.place = Place::Held { by, counted: false, shared: false, received: true };
                received.push((EntryIndex(index), entry.sequence));
            }
        }
        let consumer = Consumer {
            id: by,
            no_ack: false,
            exclusive: false,
            shares: false,
            prefetch,
            window_bytes: 20_000,
            unwritten_bytes: 0,
        };
        let id = self.models[SESSION].id;
        assert_eq!(self.shard.state.queue(id).unwrap().adopt_received(by), received);
        self.consume(SESSION, consumer);
    }

    fn purge(&mut self, queue: usize) {
        let model = &mut self.models[queue];
        let waiting = model.waiting();
        model.entries.retain(|_, entry| !matches!(entry.place, Place::Ready | Place::Expired));
        let (purged, done) = self.shard.purge(model.id);
        assert!(waiting.contains(&purged));
        self.judge(&done, Expected::default());
    }

    fn fetched(&mut self, loses: bool) {
        let Some((queue, entries)) = self.shard.next_fetch() else { return };
        let lost = entries.last().copied().filter(|_| loses);
        let mut expected = Expected::default();
        let queue = self.models.iter_mut().find(|model| model.id == queue);
        if let (Some(model), Some(index)) = (queue, lost)
            && model.ready().any(|(ready, _)| ready == index.0)
        {
            model.finish(index.0, &mut expected);
        }
        let done = self.shard.fetched(self.now_ms, |index| Some(index) == lost).unwrap();
        self.judge(&done, expected);
    }

    fn recreate(&mut self, queue: usize) {
        self.numbers += 1;
        let id = QueueId(self.numbers);
        let model = &mut self.models[queue];
        let (old, settings) = (model.id, model.settings);
        let waiting = model.waiting();
        model.close(&mut self.shares);
        let consumers: Vec<_> = model.consumers.iter().map(|consumer| (old, consumer.id)).collect();
        *model = Model::new(id, settings);
        self.packets.retain(|packet, _| packet.session != old);
        let (deleted, done) = self.shard.post(|state, fx, _| {
            let deleted = state.delete(old, fx);
            state.create(id, settings);
            deleted
        });
        assert_eq!(&done.cancelled, &consumers);
        assert!(deleted.is_some_and(|deleted| waiting.contains(&deleted)));
        self.judge(&done, Expected::default());
    }

    fn restart(&mut self) {
        self.models.iter_mut().for_each(Model::restart);
        // A packet that only went to queues that are gone may come again: nobody gets it twice.
        let queues: Vec<QueueId> = self.models.iter().map(|model| model.id).collect();
        self.packets.retain(|packet, recorded| {
            self.known.contains(packet) || recorded.iter().any(|queue| queues.contains(queue))
        });
        self.shared = Arc::default();
        self.shared.set_limit(self.shares.limit);
        self.shares.used = 0;
        let records = self.shard.journal.records.len();
        self.shard.restart(records, &self.queues());
        self.judge(&Done::default(), Expected::default());
    }

    /// Works on a queue as the server does: what has become possible happens at once.
    fn on(&mut self, queue: usize, act: impl FnOnce(&mut Queue, &mut Effects)) {
        self.on_expecting(queue, Expected::default(), act);
    }

    fn on_expecting(
        &mut self,
        queue: usize,
        expected: Expected,
        act: impl FnOnce(&mut Queue, &mut Effects),
    ) {
        let (id, now_ms) = (self.models[queue].id, self.now_ms);
        let ((), done) = self.shard.post(|state, fx, _| {
            let queue = state.queue(id).unwrap();
            act(queue, fx);
            queue.pump(now_ms, fx);
        });
        self.judge(&done, expected);
        let is_stuck = self.models[queue].is_stuck(&self.shares);
        assert!(!is_stuck || self.is_fetching(id), "nothing that can be handed out waits");
    }

    fn judge(&mut self, done: &Done, mut expected: Expected) {
        let World { models, shares, now_ms, .. } = self;
        for model in &mut *models {
            model.expire(*now_ms);
            model.note_gone(&done.settled, &mut expected);
        }
        for delivery in &done.deliveries {
            let model = models.iter_mut().find(|model| model.id == delivery.queue).unwrap();
            model.delivered(delivery, shares, &mut expected);
        }
        for model in models {
            let stats = self.shard.state.queue(model.id).unwrap().stats();
            model.compare(stats);
        }
        assert_eq!(sorted(&done.settled), sorted_model(expected.settled));
        assert_eq!(sorted(&done.handed_out), sorted_model(expected.handed_out));
        let session = self.models[SESSION].id;
        let packets: Vec<_> = self.packets.keys().map(|&packet| (packet, 1)).collect();
        assert_eq!(self.shard.state.received_from(session), packets);
        assert!(self.shard.resident_bytes() >= 0);
    }

    /// Everything is consumed and settled: then nothing is left of it anywhere.
    pub fn finish(mut self) {
        self.take(&Step::ShareLimit(0));
        for queue in 0..QUEUES {
            while !self.models[queue].consumers.is_empty() {
                self.cancel(queue, 0);
            }
            let id = self.consumer();
            let consumer = Consumer {
                id,
                no_ack: true,
                exclusive: false,
                shares: false,
                prefetch: 0,
                window_bytes: i64::MAX,
                unwritten_bytes: 0,
            };
            self.consume(queue, consumer);
            while !self.models[queue].held().is_empty() {
                self.settle(queue, 0, Settlement::Ack);
            }
        }
        while !self.shard.fetches.is_empty() {
            self.fetched(false);
        }
        for model in &self.models {
            assert!(model.entries.values().all(|entry| entry.place == Place::Away));
        }
        assert_eq!(self.shard.resident_bytes(), 0);
        (0..QUEUES).for_each(|queue| self.recreate(queue));
        assert_eq!((self.shard.resident_bytes(), self.shard.journal.referenced()), (0, 0));
        assert_eq!(self.shares.used, 0);
    }

    fn is_fetching(&self, queue: QueueId) -> bool {
        self.shard.fetches.iter().any(|fetch| fetch.queue == queue)
    }

    fn packet(&self, packet_id: u16) -> Packet {
        Packet { session: self.models[SESSION].id, packet_id }
    }

    fn consumer(&mut self) -> ConsumerId {
        self.numbers += 1;
        ConsumerId { connection: ConnectionId(1), number: self.numbers }
    }
}

fn picked<T>(list: &mut [T], pick: usize) -> Option<&mut T> {
    let len = list.len();
    list.get_mut(pick.checked_rem(len)?)
}

fn sorted(entries: &[(QueueId, EntryIndex)]) -> Vec<(QueueId, u64)> {
    sorted_model(entries.iter().map(|&(queue, index)| (queue, index.0)).collect())
}

fn sorted_model(mut entries: Vec<(QueueId, u64)>) -> Vec<(QueueId, u64)> {
    entries.sort_unstable();
    entries
}
