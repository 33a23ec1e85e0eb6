//! One look at the node, written down metric by metric.
//!
//! The format wants all samples of a metric together, so objects are gone through once for each few
//! metrics; in between, only the numbers of these few are held, and others work.

use std::sync::Arc;

use super::family::{Family, PREFIX, Scope};
use super::output::{Gone, Output};
use super::text::{Label, Metric};
use crate::server::Node;
use crate::server::counts::{ByDialect, Counts};

/// See the module's documentation.
pub struct Scrape {
    /// The broker.
    pub node: Arc<Node>,
    /// What is asked for.
    pub scope: Scope,
    /// The virtual hosts whose queues and exchanges are asked for; none stands for all.
    pub vhosts: Vec<String>,
    /// What clients have done, if all is asked for.
    pub counts: ByDialect,
    /// Where it goes.
    pub out: Output,
}

/// A number that each object of a kind has.
pub struct Column<T> {
    /// What it is.
    pub metric: Metric,
    /// How it is read.
    pub of: fn(&T) -> u64,
    /// What stands for the sum over all objects, if that must not fall when objects go.
    pub in_all: Option<fn(&Counts) -> u64>,
}

impl<T> Column<T> {
    /// A number that goes up and down.
    pub const fn gauge(name: &'static str, help: &'static str, of: fn(&T) -> u64) -> Self {
        Column { metric: Metric::gauge(name, help), of, in_all: None }
    }

    /// A number that only grows.
    pub const fn counter(name: &'static str, help: &'static str, of: fn(&T) -> u64) -> Self {
        Column { metric: Metric::counter(name, help), of, in_all: None }
    }

    /// With what all clients did instead of the sum.
    pub const fn or(self, in_all: fn(&Counts) -> u64) -> Self {
        Column { in_all: Some(in_all), ..self }
    }
}

impl Scrape {
    /// Writes everything that is asked for.
    ///
    /// # Errors
    /// If nobody wants it any more.
    pub async fn write(mut self) -> Result<(), Gone> {
        if self.scope.has_totals() {
            let node = self.node.clone();
            let counts = tokio::task::spawn_blocking(move || node.counts()).await;
            self.counts = counts.map_err(|_| Gone)?;
        }
        self.write_node().await?;
        self.write_traffic();
        self.write_queues().await?;
        self.write_connections().await?;
        self.write_exchanges().await?;
        self.write_identity();
        self.out.finish().await
    }

    /// Whether a family is asked for.
    pub fn has(&self, family: Family) -> bool {
        self.scope.has(family)
    }

    /// Writes a metric that has one sample.
    pub fn one(&mut self, metric: &Metric, value: impl std::fmt::Display) {
        self.head(metric);
        self.out.text.sample(&[], value);
    }

    /// As [`one`](Self::one), unless the system does not say.
    pub fn one_if_known(&mut self, metric: &Metric, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.one(metric, value);
        }
    }

    /// Begins a metric.
    pub fn head(&mut self, metric: &Metric) {
        self.out.text.head(self.scope.prefix(), metric);
    }

    /// Writes a metric that is called the same whatever is asked for.
    pub fn labels(&mut self, metric: &Metric, labels: &[Label<'_>]) {
        self.out.text.head(PREFIX, metric);
        self.out.text.sample(labels, 1);
    }

    /// Whether a virtual host is asked for.
    pub fn wants_vhost(&self, name: &str) -> bool {
        self.vhosts.is_empty() || self.vhosts.iter().any(|wanted| wanted == name)
    }

    /// The virtual hosts that are asked for.
    pub fn vhosts(&self) -> Vec<Arc<str>> {
        let topology = self.node.topology();
        topology.vhosts().filter(|name| self.wants_vhost(name)).map(Arc::from).collect()
    }
}
