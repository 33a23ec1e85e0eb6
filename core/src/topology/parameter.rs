//! Runtime parameters: values that the broker keeps for its components and tools, and does not look into.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Outcome, Topology, TopologyError};

/// What a runtime parameter is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParameterName {
    /// The virtual host; `None` for a global parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<Arc<str>>,
    /// The component that it is for; empty for a global parameter.
    #[serde(default)]
    pub component: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl ParameterName {
    /// Of a global parameter.
    pub fn global(name: Arc<str>) -> Self {
        ParameterName { vhost: None, component: "".into(), name }
    }

    /// Whether it is of a global parameter. One that has a component, but no virtual host, is the
    /// broker's own.
    pub fn is_global(&self) -> bool {
        self.vhost.is_none() && self.component.is_empty()
    }
}

impl Topology {
    pub(super) fn set_parameter(
        &mut self,
        name: ParameterName,
        value: serde_json::Value,
    ) -> Result<Applied, TopologyError> {
        if let Some(vhost) = &name.vhost {
            self.vhost(vhost)?;
        }
        Ok(match self.parameters.insert(name, value.clone()) {
            None => Outcome::Created.into(),
            Some(before) if before == value => Outcome::Unchanged.into(),
            Some(_) => Outcome::Replaced.into(),
        })
    }

    pub(super) fn clear_parameter(&mut self, name: &ParameterName) -> Applied {
        match self.parameters.remove(name) {
            None => Outcome::Absent.into(),
            Some(_) => Outcome::Deleted.into(),
        }
    }

    /// The runtime parameters of a virtual host.
    pub fn parameters_of(
        &self,
        vhost: &str,
    ) -> impl Iterator<Item = (&ParameterName, &serde_json::Value)> {
        let vhost: Arc<str> = vhost.into();
        let none: Arc<str> = "".into();
        let first = ParameterName {
            vhost: Some(Arc::clone(&vhost)),
            component: Arc::clone(&none),
            name: none,
        };
        let is_inside = move |name: &ParameterName| name.vhost.as_ref() == Some(&vhost);
        self.parameters.range(first..).take_while(move |(name, _)| is_inside(name))
    }

    /// The value of a runtime parameter.
    pub fn parameter(&self, name: &ParameterName) -> Option<&serde_json::Value> {
        self.parameters.get(name)
    }

    /// All runtime parameters, the global ones first.
    pub fn parameters(&self) -> impl Iterator<Item = (&ParameterName, &serde_json::Value)> {
        self.parameters.iter()
    }
}
