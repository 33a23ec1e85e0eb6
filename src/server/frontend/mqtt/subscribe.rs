//! SUBSCRIBE and UNSUBSCRIBE: bindings of `amq.topic` to the session's queue.

use std::sync::Arc;

use leveret_core::{
    Binding, Destination, Position, QueueId, Subscription, SubscriptionOptions, Syntax, Table,
    TopologyCommand, TopologyError, topic_to_key,
};
use leveret_mqtt::{
    self as mqtt, Reason, ReasonCode, RetainHandling, Subscribe, Unsubscribe, split_shared,
};

use super::held::Held;
use super::publish::refusal;
use super::topic::is_too_long;
use super::{Mqtt, Promise, TOPIC_EXCHANGE};
use crate::config::SubackRefusal;
use crate::server::clock;
use crate::server::frontend::Frontend as _;
use crate::server::limits::Limit;
use crate::server::retained::{Due, DueRetained};

/// One filter of a SUBSCRIBE, answered.
pub(super) struct Granted {
    reason: Reason<'static>,
    /// What the subscription brings at once.
    retained: Option<DueRetained>,
}

impl Mqtt {
    pub(super) fn handle_subscribe(&mut self, subscribe: &Subscribe<'_>) {
        if self.must_ask_for(subscribe) {
            return self.hold(Held::Subscribe(subscribe.owned()));
        }
        let mut promise = None;
        let granted = subscribe
            .filters
            .map(|filter| {
                let (granted, position) = filter
                    .map_err(bad_filter)
                    .and_then(|filter| self.subscribe(&filter, subscribe.subscription_id))
                    .unwrap_or_else(|refusal| {
                        (Granted::refused(self.suback_reason(refusal)), None)
                    });
                promise = promise.max(position);
                granted
            })
            .collect();
        let packet_id = subscribe.packet_id;
        self.gate.push(promise, Promise::Suback { packet_id, granted });
    }

    /// Whether there is a filter of which it is not known whether the client may have it.
    fn must_ask_for(&self, subscribe: &Subscribe<'_>) -> bool {
        let Some(reader) = self.reader.as_ref().filter(|it| !it.identity.is_internal()) else {
            return false;
        };
        // More than there may be are refused without a question.
        let max = self.node.config.mqtt_subscriptions_max as usize;
        for filter in subscribe.filters.filter_map(Result::ok).take(max) {
            if is_too_long(filter.filter, &self.node.config).is_some() {
                continue;
            }
            let filter = split_shared(filter.filter).map_or(filter.filter, |(_, filter)| filter);
            // What is refused is refused below.
            _ = reader.check(&self.node, &topic_to_key(filter));
        }
        reader.identity.must_ask()
    }

    fn subscribe(
        &mut self,
        wanted: &mqtt::Subscription<'_>,
        id: Option<u32>,
    ) -> Result<(Granted, Option<Position>), Reason<'static>> {
        if let Some(limit) = is_too_long(wanted.filter, &self.node.config) {
            self.node.refusals.note(limit);
            return Err(LONG_FILTER);
        }
        let session = self.session.as_mut().ok_or(ReasonCode::UnspecifiedError)?;
        let binding = binding(session.queue, wanted.filter);
        let options = SubscriptionOptions {
            qos: wanted.qos as u8,
            no_local: wanted.no_local,
            retain_as_published: wanted.retain_as_published,
            id,
        };
        let is_full = session.subscriptions >= self.node.config.mqtt_subscriptions_max as usize;
        if is_full && !self.node.topology().is_bound(&self.vhost, &binding) {
            self.node.refusals.note(Limit::Subscriptions);
            return Err(TOO_MANY);
        }
        if let Some(reader) = &self.reader {
            let checked = reader.check(&self.node, &binding.key);
            checked.map_err(|error| refusal(&error, MAY_NOT_READ))?;
        }
        let commanded = self
            .node
            .command(TopologyCommand::Bind {
                vhost: self.vhost.clone(),
                binding: binding.clone(),
                subscription: Some(options),
            })
            .map_err(|error| match error {
                TopologyError::NodeLimit { .. } => refusal(&error, MAY_NOT_READ),
                _ => ReasonCode::UnspecifiedError.into(),
            })?;
        let existed = commanded.applied.outcome.existed();
        session.subscriptions += usize::from(!existed);
        let wants_retained = match wanted.retain_handling {
            _ if split_shared(wanted.filter).is_some() => false,
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => !existed,
            RetainHandling::DoNotSend => false,
        };
        let retained = wants_retained.then(|| {
            let subscription = Arc::new(Subscription::from(options));
            DueRetained::new(self.vhost.clone(), (*binding.key).into(), subscription)
        });
        let code = match wanted.qos {
            mqtt::Qos::AtMostOnce => ReasonCode::Success,
            mqtt::Qos::AtLeastOnce => ReasonCode::GrantedQos1,
            mqtt::Qos::ExactlyOnce => ReasonCode::GrantedQos2,
        };
        Ok((Granted { reason: code.into(), retained }, commanded.promise))
    }

    /// How a client is told that it may not have a subscription.
    fn suback_reason(&self, refusal: Reason<'static>) -> Reason<'static> {
        match (refusal.code, self.node.config.mqtt_suback_refusal) {
            (ReasonCode::NotAuthorized, SubackRefusal::Unspecified) => {
                Reason::new(ReasonCode::UnspecifiedError, refusal.text)
            }
            _ => refusal,
        }
    }

    /// Answers a SUBSCRIBE, then sends what it brings.
    pub(super) fn suback(&mut self, packet_id: u16, granted: Vec<Granted>) {
        let codes: Vec<ReasonCode> = granted.iter().map(|granted| granted.reason.code).collect();
        let text = first_text(granted.iter().map(|granted| granted.reason));
        self.connection.suback(packet_id, &codes, text);
        let due: Due = granted.into_iter().filter_map(|granted| granted.retained).collect();
        if !due.is_empty() {
            self.bring_retained(due);
        }
    }

    /// Goes on with what is due to the session.
    pub(super) fn bring_due(&mut self) {
        let Some(session) = &mut self.session else { return };
        session.is_retained_due = false;
        if let Some(due) = self.node.retained.take_due(session.queue) {
            self.bring_retained(due);
        }
        self.handle_durable(self.node.durable());
    }

    fn bring_retained(&mut self, due: Due) {
        let Some(session) = &mut self.session else { return };
        session.is_retained_due = self.node.bring_retained(session.queue, due);
        if session.is_retained_due {
            // The connection writes, and takes its mail, before it comes back to this; and waits if
            // the journal is behind by then.
            self.pause.until_at_least(clock::now());
        }
    }

    pub(super) fn handle_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        let mut promise = None;
        let reasons: Vec<Reason<'static>> = unsubscribe
            .filters
            .map(|filter| {
                let result = filter.map_err(bad_filter).and_then(|filter| self.unsubscribe(filter));
                let (reason, position) = result.unwrap_or_else(|refusal| (refusal, None));
                promise = promise.max(position);
                reason
            })
            .collect();
        let packet_id = unsubscribe.packet_id;
        let codes = reasons.iter().map(|reason| reason.code).collect();
        let text = first_text(reasons.into_iter());
        self.gate.push(promise, Promise::Unsuback { packet_id, codes, text });
    }

    fn unsubscribe(
        &mut self,
        filter: &str,
    ) -> Result<(Reason<'static>, Option<Position>), Reason<'static>> {
        if let Some(limit) = is_too_long(filter, &self.node.config) {
            self.node.refusals.note(limit);
            return Err(LONG_FILTER);
        }
        let session = self.session.as_mut().ok_or(ReasonCode::UnspecifiedError)?;
        let binding = binding(session.queue, filter);
        let commanded = self
            .node
            .command(TopologyCommand::Unbind { vhost: self.vhost.clone(), binding })
            .map_err(|_| ReasonCode::UnspecifiedError)?;
        if !commanded.applied.outcome.existed() {
            return Ok((ReasonCode::NoSubscriptionExisted.into(), None));
        }
        session.subscriptions = session.subscriptions.saturating_sub(1);
        Ok((ReasonCode::Success.into(), commanded.promise))
    }
}

impl Granted {
    fn refused(reason: Reason<'static>) -> Self {
        Granted { reason, retained: None }
    }
}

/// SUBACK and UNSUBACK have one text for all their codes.
fn first_text(mut reasons: impl Iterator<Item = Reason<'static>>) -> &'static str {
    reasons.find(|reason| !reason.text.is_empty()).map_or("", |reason| reason.text)
}

fn bad_filter(code: ReasonCode) -> Reason<'static> {
    Reason::new(code, "wildcards or share name of a filter are not valid")
}

const LONG_FILTER: Reason<'_> =
    Reason::new(ReasonCode::TopicFilterInvalid, "the filter is longer than it may be");
const MAY_NOT_READ: &str = "the user may not read these topics";
const TOO_MANY: Reason<'_> =
    Reason::new(ReasonCode::QuotaExceeded, "the session has too many subscriptions");

fn binding(session: QueueId, filter: &str) -> Binding {
    let (share, filter) = match split_shared(filter) {
        Some((share, filter)) => (Some(share), filter),
        None => (None, filter),
    };
    let binding = Binding {
        source: TOPIC_EXCHANGE.into(),
        destination: Destination::Queue(session),
        key: topic_to_key(filter).into(),
        arguments: Table::default(),
        syntax: Syntax::Mqtt,
    };
    match share {
        Some(share) => binding.share_as(share),
        None => binding,
    }
}
