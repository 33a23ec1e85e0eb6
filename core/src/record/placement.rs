//! Where a recorded message went.

use std::sync::Arc;

use smallvec::SmallVec;

use super::bytes::{Reader, put};
use super::{Malformed, Origin, Packet};
use crate::{EntryIndex, Placement, QueueId, Subscription};

/// The places of a message, read back.
pub type Placements = SmallVec<[RecordedPlacement; 1]>;

/// A durable placement, read back.
#[derive(Debug, Clone)]
pub struct RecordedPlacement(pub Placement);

const SUBSCRIPTION: u8 = 1;
const RETAINED: u8 = 2;
const AS_PUBLISHED: u8 = 4;
const QOS_SHIFT: u8 = 4;

/// Writes the origin and the durable ones of some placements.
pub(super) fn put_all(out: &mut Vec<u8>, origin: Option<Origin>, placements: &[Placement]) {
    match origin {
        None => put(out, 0),
        Some(Origin { packet, shards }) => {
            put(out, u64::from(packet.packet_id));
            put(out, packet.session.0);
            put(out, u64::from(shards));
        }
    }
    let durable = placements.iter().filter(|placement| placement.durable);
    put(out, durable.clone().count() as u64);
    durable.for_each(|placement| put_one(out, placement));
}

fn put_one(out: &mut Vec<u8>, placement: &Placement) {
    put(out, placement.queue.0);
    put(out, placement.index.0);
    let mut flags = u8::from(placement.retained) * RETAINED;
    let Some(subscription) = &placement.subscription else {
        return out.push(flags);
    };
    flags |= SUBSCRIPTION | subscription.qos << QOS_SHIFT;
    flags |= u8::from(subscription.retain_as_published) * AS_PUBLISHED;
    out.push(flags);
    put(out, placement.sequence);
    put(out, subscription.ids.len() as u64);
    subscription.ids.iter().for_each(|&id| put(out, u64::from(id)));
}

/// Reads what [`put_all`] wrote.
pub(super) fn read(r: &mut Reader<'_>) -> Result<(Option<Origin>, Placements), Malformed> {
    let packet_id = r.narrow::<u16>()?;
    let origin = match packet_id {
        0 => None,
        packet_id => {
            let packet = Packet { session: QueueId(r.integer()?), packet_id };
            Some(Origin { packet, shards: r.narrow()? })
        }
    };
    // A length is not believed before the elements were read: each takes a byte at least.
    let mut placements = Placements::new();
    for _ in 0..r.narrow::<usize>()? {
        placements.push(RecordedPlacement(read_one(r)?));
    }
    Ok((origin, placements))
}

fn read_one(r: &mut Reader<'_>) -> Result<Placement, Malformed> {
    let (queue, index) = (QueueId(r.integer()?), EntryIndex(r.counter()?));
    let flags = r.byte()?;
    let mut placement = Placement {
        queue,
        index,
        sequence: 0,
        subscription: None,
        retained: flags & RETAINED != 0,
        durable: true,
    };
    if flags & SUBSCRIPTION != 0 {
        placement.sequence = r.counter()?;
        let mut ids = SmallVec::new();
        for _ in 0..r.narrow::<u16>()? {
            ids.push(r.narrow::<u32>()?);
        }
        let retain_as_published = flags & AS_PUBLISHED != 0;
        let qos = flags >> QOS_SHIFT;
        placement.subscription =
            Some(Arc::new(Subscription { qos, retain_as_published, ids, share: None }));
    }
    Ok(placement)
}
