//! A component with its imports, and where its exports are: the contract's, and the optional ones.

use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

use super::{
    Artifact,
    bindings::{
        ConnectorPlugin, ConnectorPluginIndices, chosen::ChoicesPluginIndices,
        fields::DiscoveryPluginIndices, inbound::WebhooksPluginIndices,
    },
    call::State,
};

/// Ready to be instantiated. Clones share everything.
#[derive(Clone)]
pub(super) struct Linked {
    instance: InstancePre<State>,
    connector: ConnectorPluginIndices,
    pub(super) webhooks: Option<WebhooksPluginIndices>,
    pub(super) discovery: Option<DiscoveryPluginIndices>,
    pub(super) choices: Option<ChoicesPluginIndices>,
}

impl Linked {
    /// Looks the exports up; what the component exports must have the contract's types.
    pub(super) fn new(instance: InstancePre<State>, artifact: &Artifact) -> wasmtime::Result<Self> {
        let webhooks = artifact
            .has_webhooks()
            .then(|| WebhooksPluginIndices::new(&instance))
            .transpose()?;
        let discovery = artifact
            .has_discovery()
            .then(|| DiscoveryPluginIndices::new(&instance))
            .transpose()?;
        let choices = artifact
            .has_choices()
            .then(|| ChoicesPluginIndices::new(&instance))
            .transpose()?;
        Ok(Self {
            connector: ConnectorPluginIndices::new(&instance)?,
            webhooks,
            discovery,
            choices,
            instance,
        })
    }

    pub(super) const fn linked(&self) -> &InstancePre<State> {
        &self.instance
    }

    /// The five operations of an instance.
    pub(super) fn interface(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<ConnectorPlugin> {
        self.connector.load(store, instance)
    }
}
