//! The metrics of virtual hosts and exchanges.

use leveret_core::ExchangeEntry;

use super::family::Family;
use super::output::Gone;
use super::scrape::Scrape;
use super::text::Metric;

const VHOST_STATUS: Metric = Metric::gauge("vhost_status", "Whether a virtual host is running");
const NAMES: Metric = Metric::gauge("exchange_name", "The exchanges that there are");
const BINDINGS: Metric = Metric::gauge("exchange_bindings", "Bindings that begin at an exchange");

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
        if self.has(Family::VhostStatus) {
            self.out.text.head(PREFIX, &VHOST_STATUS);
            for vhost in self.vhosts() {
                self.out.text.sample(&[("vhost", &vhost)], 1);
            }
        }
        if self.has(Family::ExchangeBindings) {
            self.write_each_exchange(&BINDINGS, ExchangeEntry::binding_count).await?;
        }
        if self.has(Family::ExchangeNames) {
            self.write_each_exchange(&NAMES, |_| 1).await?;
        }
        Ok(())
    }

    /// The default exchange and internal ones are nobody's business.
    async fn write_each_exchange(
        &mut self,
        metric: &Metric,
        of: fn(&ExchangeEntry) -> usize,
    ) -> Result<(), Gone> {
        self.out.text.head(PREFIX, metric);
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
                    let shown = found.filter(|it| !it.name.is_empty() && !it.spec.internal);
                    for exchange in shown {
                        let labels = [
                            ("vhost", &*vhost),
                            ("exchange", &*exchange.name),
                            ("type", exchange.spec.kind.name()),
                        ];
                        self.out.text.sample(&labels, of(exchange));
                    }
                }
                self.out.pause().await?;
            }
        }
        Ok(())
    }
}
