//! Messages that scripts hold: each under a token, until it is acknowledged, given back, or its time
//! is over. What a stream has given out is held until the stream ends.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hashbrown::HashMap;
use leveret_core::{Delivery, QueueId, Right, Settlement};
use tokio::task::AbortHandle;

use super::consumer::settle;
use crate::management::call::{Answer, Call};
use crate::management::error::Refusal;
use crate::management::queues::find;
use crate::management::reply::Reply;
use crate::server::Node;

/// All messages that scripts hold.
#[derive(Debug, Default)]
pub struct Leases {
    by_token: Mutex<HashMap<String, Lease>>,
}

#[derive(Debug)]
struct Lease {
    delivery: Delivery,
    user: String,
    timer: Option<Timer>,
}

/// The task that ends a lease: it ends with it.
#[derive(Debug)]
struct Timer(AbortHandle);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Leases {
    /// Holds a message for a user. Gives the token, or the message back if too many are held.
    pub fn add(&self, node: &Node, user: &str, delivery: Delivery) -> Result<String, Delivery> {
        let mut leases = self.lock();
        if leases.len() >= LEASES_MAX {
            return Err(delivery);
        }
        let token = node.unique_name("");
        leases.insert(token.clone(), Lease { delivery, user: user.to_owned(), timer: None });
        Ok(token)
    }

    /// Gives a message back once its time is over.
    pub fn end_after(self: &Arc<Self>, node: &Arc<Node>, token: String, time: Duration) {
        let (leases, node) = (Arc::downgrade(self), Arc::downgrade(node));
        let held = token.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            if let (Some(leases), Some(node)) = (leases.upgrade(), node.upgrade()) {
                leases.give_back(&node, &token);
            }
        });
        let timer = Timer(task.abort_handle());
        if let Some(lease) = self.lock().get_mut(&held) {
            lease.timer = Some(timer);
        }
    }

    /// Gives a message back, if it is still held.
    pub fn give_back(&self, node: &Node, token: &str) {
        let lease = self.lock().remove(token);
        if let Some(lease) = lease {
            settle(node, &lease.delivery, Settlement::Requeue);
        }
    }

    /// Whether something is still held.
    pub fn holds(&self, token: &str) -> bool {
        self.lock().contains_key(token)
    }

    /// Takes what a user holds of a queue under a token.
    fn take(&self, token: &str, user: &str, queue: QueueId) -> Option<Delivery> {
        let mut leases = self.lock();
        let lease = leases.get(token)?;
        if lease.user != user || lease.delivery.queue != queue {
            return None;
        }
        leases.remove(token).map(|lease| lease.delivery)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Lease>> {
        self.by_token.lock().expect("nothing panics while it holds the leases")
    }
}

/// `DELETE /queues/:vhost/:queue/messages/:token`: it is done with.
pub fn acknowledge(call: &Call) -> Answer {
    settle_held(call, Settlement::Ack)
}

/// `POST /queues/:vhost/:queue/messages/:token/requeue`.
pub fn requeue(call: &Call) -> Answer {
    settle_held(call, Settlement::Requeue)
}

fn settle_held(call: &Call, settlement: Settlement) -> Answer {
    let (vhost, queue) = find(call)?;
    call.check_queue(Right::Read, &vhost, call.part("queue"))?;
    let held = call.api.leases.take(call.part("token"), &call.caller.name, queue);
    settle(call.node(), &held.ok_or_else(Refusal::no_such_object)?, settlement);
    Ok(Reply::no_content())
}

/// Messages that scripts may hold at a time.
const LEASES_MAX: usize = 10_000;
