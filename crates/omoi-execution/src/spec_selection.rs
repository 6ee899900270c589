//! Which specs a process works on, and with which model.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use omoi_domain::id::SpecId;
use omoi_domain::model_kind::{BroughtModel, WorkModel};
use omoi_domain::spec::SpecStatus;
use omoi_llm::llm_client::LlmClient;
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, Tx, provider_keys};

use crate::deployment::{DeploymentParts, FromParts};

/// Which specs a process works on. Rows say what is to be done; this says who does it.
#[derive(Clone, Debug, Default)]
pub enum WorkScope {
    /// None: it only answers questions.
    Nothing,
    /// Those it was asked for since it started.
    Asked(Arc<Mutex<BTreeSet<SpecId>>>),
    /// All there are.
    #[default]
    Every,
}

impl WorkScope {
    /// Notes that a person asked this process for `spec`.
    pub fn ask_for(&self, spec: SpecId) {
        if let Self::Asked(asked) = self {
            asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(spec);
        }
    }

    /// Whether it is to work on `spec`.
    pub fn contains(&self, spec: SpecId) -> bool {
        match self {
            Self::Nothing => false,
            Self::Asked(asked) => asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&spec),
            Self::Every => true,
        }
    }
}

/// The specs that this process goes on with, and the model it does so with.
#[derive(Clone, Debug)]
pub struct SpecSelection {
    /// Those it is to work on.
    pub scope: WorkScope,
    /// What answers agents.
    pub model: WorkModel,
    /// What answers those of organisations with keys of their own, best first; none where `model` is for all.
    pub brought_models: Vec<BroughtModel>,
}

impl FromParts for SpecSelection {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            scope: parts.scope.clone(),
            model: parts.model.clone(),
            brought_models: parts
                .llm
                .as_ref()
                .map(LlmClient::brought_models)
                .unwrap_or_default(),
        }
    }
}

impl SpecSelection {
    /// The same with the model that answers agents of the organisation of `tx`: where the deployment has none, that of the first
    /// provider for which the organisation brought a key.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn in_organisation(&self, tx: &mut Tx) -> Result<Self, StoreError> {
        if self.brought_models.is_empty() {
            return Ok(self.clone());
        }
        let keys = provider_keys::list_all(tx).await?;
        let has_key =
            |one: &&BroughtModel| keys.iter().any(|key| key.provider_name == one.provider);
        let found = self.brought_models.iter().find(has_key);
        Ok(Self {
            model: found.map_or_else(WorkModel::no_model, |one| WorkModel::live_model(&one.model)),
            ..self.clone()
        })
    }

    /// Takes up which model the organisation of `store` has now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn refresh_model(&mut self, store: &Tenant) -> Result<(), StoreError> {
        if !self.brought_models.is_empty() {
            *self = store
                .read(async |tx| self.in_organisation(tx).await)
                .await?;
        }
        Ok(())
    }

    /// Whether this process has a model to give to what it works on.
    pub fn runs_agents(&self) -> bool {
        !self.model.is_missing() && !matches!(self.scope, WorkScope::Nothing)
    }

    /// Whether this process begins what nobody asked it for by name.
    pub fn begins_tickets(&self) -> bool {
        !self.model.is_missing() && matches!(self.scope, WorkScope::Every)
    }

    /// Whether `spec` was begun with another kind of model than this process works with: then nothing
    /// here may go on with it, or its label would not be true.
    pub fn is_of_another_kind(&self, spec: &Spec) -> bool {
        !self.model.may_go_on_with(&spec.work_model())
    }

    /// Whether this process goes on with `spec`: it was asked to, and may.
    pub fn works_on(&self, spec: &Spec) -> bool {
        self.scope.contains(spec.id) && !self.is_of_another_kind(spec)
    }

    /// Specs in `status` that this process goes on with, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn own_specs(
        &self,
        store: &Tenant,
        status: SpecStatus,
    ) -> Result<Vec<Spec>, StoreError> {
        let found = store.read(async |tx| specs::with_status(tx, status).await);
        let mut found = found.await?;
        found.retain(|spec| self.works_on(spec));
        Ok(found)
    }
}
