//! SUBSCRIBE and UNSUBSCRIBE: bindings of `amq.topic` to the session's queue.

use std::sync::Arc;

use leveret_core::{
    Binding, Destination, Message, Pattern, Position, QueueId, Subscription, SubscriptionOptions,
    Syntax, Table, TopologyCommand, topic_to_key,
};
use leveret_mqtt::{self as mqtt, ReasonCode, RetainHandling, Subscribe, Unsubscribe};

use super::{Mqtt, Promise, TOPIC_EXCHANGE};
use crate::server::clock;

/// One filter of a SUBSCRIBE, answered.
pub(super) struct Granted {
    code: ReasonCode,
    /// What the subscription brings at once.
    retained: Vec<Arc<Message>>,
    subscription: Arc<Subscription>,
}

impl Mqtt {
    pub(super) fn handle_subscribe(&mut self, subscribe: &Subscribe<'_>) {
        let mut promise = None;
        let granted = subscribe
            .filters
            .map(|filter| {
                let (granted, position) = filter
                    .and_then(|filter| self.subscribe(&filter, subscribe.subscription_id))
                    .unwrap_or_else(|refusal| (Granted::refused(refusal), None));
                promise = promise.max(position);
                granted
            })
            .collect();
        let packet_id = subscribe.packet_id;
        self.gate.push(promise, Promise::Suback { packet_id, granted });
    }

    fn subscribe(
        &mut self,
        wanted: &mqtt::Subscription<'_>,
        id: Option<u32>,
    ) -> Result<(Granted, Option<Position>), ReasonCode> {
        let session = self.session.as_mut().ok_or(ReasonCode::UnspecifiedError)?;
        let binding = binding(session.queue, wanted.filter);
        let options = SubscriptionOptions {
            qos: wanted.qos as u8,
            no_local: wanted.no_local,
            retain_as_published: wanted.retain_as_published,
            id,
        };
        if session.subscriptions >= self.node.config.mqtt_subscriptions_max as usize {
            return Err(ReasonCode::QuotaExceeded);
        }
        let commanded = self
            .node
            .command(TopologyCommand::Bind {
                vhost: self.vhost.clone(),
                binding: binding.clone(),
                subscription: Some(options),
            })
            .map_err(|_| ReasonCode::UnspecifiedError)?;
        let existed = commanded.applied.outcome.existed();
        session.subscriptions += usize::from(!existed);
        let wants_retained = match wanted.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => !existed,
            RetainHandling::DoNotSend => false,
        };
        let retained = if wants_retained {
            let pattern = Pattern::mqtt(&binding.key);
            self.node.retained_matching(&self.vhost, pattern, clock::now_ms())
        } else {
            Vec::new()
        };
        let code = match wanted.qos {
            mqtt::Qos::AtMostOnce => ReasonCode::Success,
            mqtt::Qos::AtLeastOnce => ReasonCode::GrantedQos1,
            mqtt::Qos::ExactlyOnce => ReasonCode::GrantedQos2,
        };
        let subscription = Arc::new(Subscription::from(options));
        Ok((Granted { code, retained, subscription }, commanded.promise))
    }

    /// Answers a SUBSCRIBE, then sends what it brings.
    pub(super) fn suback(&mut self, packet_id: u16, granted: &[Granted]) {
        let codes: Vec<ReasonCode> = granted.iter().map(|granted| granted.code).collect();
        self.connection.suback(packet_id, &codes);
        let Some(session) = &self.session else { return };
        for Granted { retained, subscription, .. } in granted {
            if !retained.is_empty() {
                self.node.deliver_retained(session.queue, subscription, retained);
            }
        }
    }

    pub(super) fn handle_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        let mut promise = None;
        let codes = unsubscribe
            .filters
            .map(|filter| {
                let result = filter.and_then(|filter| self.unsubscribe(filter));
                let (code, position) = result.unwrap_or_else(|refusal| (refusal, None));
                promise = promise.max(position);
                code
            })
            .collect();
        let packet_id = unsubscribe.packet_id;
        self.gate.push(promise, Promise::Unsuback { packet_id, codes });
    }

    fn unsubscribe(&mut self, filter: &str) -> Result<(ReasonCode, Option<Position>), ReasonCode> {
        let session = self.session.as_mut().ok_or(ReasonCode::UnspecifiedError)?;
        let binding = binding(session.queue, filter);
        let commanded = self
            .node
            .command(TopologyCommand::Unbind { vhost: self.vhost.clone(), binding })
            .map_err(|_| ReasonCode::UnspecifiedError)?;
        if !commanded.applied.outcome.existed() {
            return Ok((ReasonCode::NoSubscriptionExisted, None));
        }
        session.subscriptions = session.subscriptions.saturating_sub(1);
        Ok((ReasonCode::Success, commanded.promise))
    }
}

impl Granted {
    fn refused(code: ReasonCode) -> Self {
        Granted { code, retained: Vec::new(), subscription: Arc::default() }
    }
}

fn binding(session: QueueId, filter: &str) -> Binding {
    Binding {
        source: TOPIC_EXCHANGE.into(),
        destination: Destination::Queue(session),
        key: topic_to_key(filter).into(),
        arguments: Table::default(),
        syntax: Syntax::Mqtt,
    }
}
