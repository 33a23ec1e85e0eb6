//! The metrics of virtual hosts and exchanges.

use leveret_core::ExchangeEntry;

use super::family::Family;
use super::output::Gone;
use super::scrape::{Column, Scrape};
use super::text::{Metric, Text};
use crate::server::counts::Counts;

const VHOST_STATUS: Metric = Metric::gauge("vhost_status", "Whether a virtual host is running");
const NAMES: Metric = Metric::gauge("exchange_name", "The exchanges that there are");
const BINDINGS: Metric = Metric::gauge("exchange_bindings", "Bindings that begin at an exchange");

const PUBLISHES: Column<ExchangeEntry> =
    Column::counter("exchange_messages_published_total", "Messages from publishers", |exchange| {
        exchange.traffic.published()
    });

/// What is known over all exchanges only.
const FATES: &[Column<Counts>] = &[
    Column::counter(
        "exchange_messages_confirmed_total",
        "Messages that were confirmed",
        |counts| counts.confirmed,
    ),
    Column::counter(
        "exchange_messages_unroutable_returned_total",
        "Messages that no queue got, and that were returned",
        |counts| counts.returned,
    ),
    Column::counter(
        "exchange_messages_unroutable_dropped_total",
        "Messages that no queue got, and that are lost",
        |counts| counts.dropped,
    ),
];

/// These are of a cluster as a whole, and not of one node.
const PREFIX: &str = "rabbitmq_cluster_";
/// Exchanges that are looked at at once.
const BATCH: usize = 256;

impl Scrape {
    /// Writes what is asked for of virtual hosts and exchanges.
    ///
    /// # Errors
    /// If nobody wants it any more.
    pub async fn write_exchanges(&mut self) -> Result<(), Gone> {
        if self.has(Family::Exchange) {
            self.write_publishes().await?;
        }
        if self.has(Family::VhostStatus) {
            self.out.text.head(PREFIX, &VHOST_STATUS);
            for vhost in self.vhosts() {
                self.out.text.sample(&[("vhost", &vhost)], 1);
            }
        }
        if self.has(Family::ExchangeBindings) {
            self.write_cluster(&BINDINGS, ExchangeEntry::binding_count).await?;
        }
        if self.has(Family::ExchangeNames) {
            self.write_cluster(&NAMES, |_| 1).await?;
        }
        Ok(())
    }

    async fn write_publishes(&mut self) -> Result<(), Gone> {
        if self.scope.is_per_object() {
            self.head(&PUBLISHES.metric);
            return self
                .write_each_exchange(
                    |_| true,
                    |text, vhost, exchange| {
                        let labels = [("vhost", vhost), ("exchange", &*exchange.name)];
                        text.sample(&labels, (PUBLISHES.of)(exchange));
                    },
                )
                .await;
        }
        let counts = self.counts.total();
        self.one(&PUBLISHES.metric, counts.published);
        for column in FATES {
            self.one(&column.metric, (column.of)(&counts));
        }
        Ok(())
    }

    /// The default exchange and internal ones are nobody's business.
    async fn write_cluster(
        &mut self,
        metric: &Metric,
        of: fn(&ExchangeEntry) -> usize,
    ) -> Result<(), Gone> {
        self.out.text.head(PREFIX, metric);
        let is_shown =
            |exchange: &ExchangeEntry| !exchange.name.is_empty() && !exchange.spec.internal;
        self.write_each_exchange(is_shown, |text, vhost, exchange| {
            let labels = [
                ("vhost", vhost),
                ("exchange", &*exchange.name),
                ("type", exchange.spec.kind.name()),
            ];
            text.sample(&labels, of(exchange));
        })
        .await
    }

    async fn write_each_exchange(
        &mut self,
        is_shown: impl Fn(&ExchangeEntry) -> bool,
        write: impl Fn(&mut Text, &str, &ExchangeEntry),
    ) -> Result<(), Gone> {
        for vhost in self.vhosts() {
            let names: Vec<_> = {
                let topology = self.node.topology();
                topology.exchanges(&vhost).map(|exchange| exchange.name.clone()).collect()
            };
            for names in names.chunks(BATCH) {
                {
                    let topology = self.node.topology();
                    let found =
                        names.iter().filter_map(|name| topology.exchange(&vhost, name).ok());
                    for exchange in found.filter(|exchange| is_shown(exchange)) {
                        write(&mut self.out.text, &vhost, exchange);
                    }
                }
                self.out.pause().await?;
            }
        }
        Ok(())
    }
}
