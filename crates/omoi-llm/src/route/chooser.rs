//! Which model of which server answers a kind of question.

use omoi_domain::dialect::Dialect;
use omoi_domain::model_route::RouteName;
use omoi_domain::provider_row::ProviderPreset;
use omoi_domain::role_settings::RoleSettings;
use omoi_domain::time::Timestamp;

use super::server_list::{ServerList, UpstreamServer};
use super::{
    AnswerMode, LlmSettings, ModelRoute, ProviderKey, RouteError, default_mode, vendor_name,
};
use crate::catalogue::{ModelCatalogue, ModelEnd, ModelEntry, ModelFeature, provider_at};
use crate::conversation::ThinkingForm;
use crate::upstream::AnswerLimits;

/// What a route is chosen from.
pub(super) struct RouteChooser<'a> {
    pub(super) settings: &'a LlmSettings,
    pub(super) servers: &'a ServerList,
    pub(super) catalogue: &'a ModelCatalogue,
    pub(super) now: Timestamp,
}

/// A choice that can be asked.
struct UsableChoice<'a> {
    server: &'a UpstreamServer,
    model: String,
}

impl RouteChooser<'_> {
    /// The choices for `name` that can be asked and are still served, one at least; a model that has ended
    /// is taken only where nothing else is left. What is passed over goes into `notes`.
    pub(super) fn choose_routes(
        &self,
        name: RouteName,
        notes: &mut Vec<String>,
    ) -> Result<Vec<ModelRoute>, RouteError> {
        let (key, choices) = self.choices_for(name);
        if choices.is_empty() {
            return self.default_routes(name);
        }
        let mut reasons = Vec::new();
        let mut ended = None;
        let mut usable_ones = Vec::new();
        for choice in choices {
            match self.find_choice(choice) {
                Err(reason) => reasons.push(format!("`{choice}`: {reason}")),
                Ok(usable) if self.has_ended(&usable) => {
                    reasons.push(format!("`{choice}`: it has ended"));
                    ended.get_or_insert(usable);
                }
                Ok(usable) => usable_ones.extend(self.routes_to(usable.server, &usable.model)),
            }
        }
        if !usable_ones.is_empty() {
            note_passed(notes, key, &reasons);
            return Ok(usable_ones);
        }
        let last = ended.ok_or_else(|| RouteError::NoUsableChoice {
            route: name,
            reasons: reasons.join("; "),
        })?;
        Ok(self.routes_to(last.server, &last.model))
    }

    /// The models that are named for `name`, with the key that names them.
    fn choices_for(&self, name: RouteName) -> (RouteName, Vec<&str>) {
        let LlmSettings {
            choices,
            model,
            judge_model,
            ..
        } = self.settings;
        let named = |name| choices.get(&name).filter(|list| !list.is_empty());
        if let Some(list) = named(name) {
            return (name, words_of(list));
        }
        if let (RouteName::Judge, Some(judge)) = (name, judge_model) {
            return (name, vec![judge.as_str()]);
        }
        match (named(RouteName::Agent), model) {
            // Small questions go to a small model, where one may be assumed.
            (Some(_), None)
                if name == RouteName::Title && self.servers.first_server().is_vendor =>
            {
                (name, Vec::new())
            }
            (Some(list), _) => (RouteName::Agent, words_of(list)),
            (None, Some(model)) => (name, vec![model.as_str()]),
            (None, None) => (name, Vec::new()),
        }
    }

    /// Who serves `choice`; in words what is missing.
    fn find_choice(&self, choice: &str) -> Result<UsableChoice<'_>, String> {
        if let Some((provider, model)) = choice.split_once('/') {
            if let Some(server) = self.servers.find_server(provider) {
                let model = model.to_owned();
                return Ok(UsableChoice { server, model });
            }
            if let Some(missing) = self.servers.missing_reason(provider) {
                return Err(missing);
            }
        }
        let model = choice.to_owned();
        let first = self.servers.first_server();
        // What is for one program alone is taken by its name alone.
        let is_for_all = |server: &UpstreamServer| server.only_program.is_none();
        if is_for_all(first) && (first.takes_any_model || self.lists(first, choice)) {
            let server = first;
            return Ok(UsableChoice { server, model });
        }
        let mut others = self.servers.all_servers().iter();
        if let Some(server) = others.find(|one| is_for_all(one) && self.lists(one, choice)) {
            return Ok(UsableChoice { server, model });
        }
        let elsewhere = self.catalogue.find_entry(None, choice);
        let missing = elsewhere.and_then(|entry| self.servers.missing_reason(&entry.provider));
        match missing {
            Some(missing) => Err(missing),
            // A model that is newer than the list.
            None => Ok(UsableChoice {
                server: first,
                model,
            }),
        }
    }

    fn lists(&self, server: &UpstreamServer, model: &str) -> bool {
        let provider = provider_at(&server.base_url);
        provider.is_some() && self.catalogue.find_entry(provider, model).is_some()
    }

    fn has_ended(&self, choice: &UsableChoice<'_>) -> bool {
        let provider = provider_at(&choice.server.base_url);
        let entry = self.catalogue.find_entry(provider, &choice.model);
        entry.is_some_and(|entry| entry.end_at(self.now) == ModelEnd::Retired)
    }

    /// What the first server has for `name`. A listed one is there for those who name its models: without
    /// one of its own it leaves the question to the next. Where the deployment has no key at all, each server has that
    /// waits for one.
    fn default_routes(&self, name: RouteName) -> Result<Vec<ModelRoute>, RouteError> {
        let servers = self.servers.all_servers().iter();
        let asked = servers
            .filter(|server| server.only_program.is_none())
            .find(|server| !server.is_listed || self.default_model(server, name).is_some())
            .unwrap_or_else(|| self.servers.first_server());
        if asked.awaits_key() {
            let servers = self.servers.all_servers().iter();
            let awaiting = servers.filter(|server| server.awaits_key());
            let awaiting = awaiting.flat_map(|server| {
                let model = self.default_model(server, name);
                model.map_or_else(Vec::new, |model| self.routes_to(server, &model))
            });
            let awaiting: Vec<ModelRoute> = awaiting.collect();
            if !awaiting.is_empty() {
                return Ok(awaiting);
            }
        }
        let model = self.default_model(asked, name);
        let model = model.ok_or_else(|| RouteError::NoModel {
            base_url: asked.base_url.clone(),
            variable: asked.model_variable,
        })?;
        Ok(self.routes_to(asked, &model))
    }

    /// The model named for `server`, or at a vendor's the newest of a family.
    fn default_model(&self, server: &UpstreamServer, name: RouteName) -> Option<String> {
        let family = match (server.dialect, name == RouteName::Title) {
            (Dialect::Messages, false) => "sonnet",
            (Dialect::Messages, true) => "haiku",
            (Dialect::ChatCompletions | Dialect::Responses, false) => "gpt-sol",
            (Dialect::ChatCompletions | Dialect::Responses, true) => "gpt-luna",
        };
        let vendor = vendor_name(server.dialect);
        let newest = || self.catalogue.newest_model(vendor, family, self.now);
        let assumed = || newest().filter(|_| server.is_vendor);
        let named = server.model.clone();
        named.or_else(|| assumed().map(|entry| entry.id.clone()))
    }

    /// `model` at `server`, with each of its keys.
    fn routes_to(&self, server: &UpstreamServer, model: &str) -> Vec<ModelRoute> {
        let keys = server.keys.iter();
        keys.map(|key| self.route_to(server, model.to_owned(), key))
            .collect()
    }

    fn route_to(&self, server: &UpstreamServer, model: String, key: &ProviderKey) -> ModelRoute {
        let provider = provider_at(&server.base_url);
        let known = self.catalogue.find_entry(provider, &model);
        let can = |feature| known.is_none_or(|entry| entry.features.contains(&feature));
        let answered_max = known.and_then(|entry| u32::try_from(entry.window.output?).ok());
        let vendor = vendor_name(server.dialect);
        let max_tokens = answered_max.map_or(server.max_tokens, |most| most.min(server.max_tokens));
        ModelRoute {
            dialect: server.dialect,
            base_url: server.base_url.clone(),
            price: self.catalogue.price_of(provider, vendor, &model),
            answer_mode: match default_mode(server.dialect) {
                AnswerMode::ToolCall if can(ModelFeature::ForcedTool) => AnswerMode::ToolCall,
                _ if can(ModelFeature::StructuredOutput) => AnswerMode::JsonSchema,
                _ => AnswerMode::Fenced,
            },
            model,
            key: key.clone(),
            only_program: server.only_program,
            server: server.settings.clone(),
            max_tokens,
            window_tokens: server
                .window
                .or_else(|| known.and_then(|entry| entry.window.input)),
            limits: AnswerLimits::of_server(&server.base_url, server.is_own_server)
                .sized_for(max_tokens),
            takes_sampling: can(ModelFeature::Sampling),
            thinking: thinking_form(server, known),
            settings: RoleSettings::default(),
            simulated: false,
        }
    }
}

/// How the model `known`, at `server`, is told how much to think.
fn thinking_form(server: &UpstreamServer, known: Option<&ModelEntry>) -> ThinkingForm {
    let can = |feature| known.is_none_or(|entry| entry.features.contains(&feature));
    let is_openrouter = server.base_url == ProviderPreset::Openrouter.default_address();
    match (
        ThinkingForm::of_server(server.dialect, server.acts_like_vendor()),
        server.dialect,
    ) {
        (_, Dialect::ChatCompletions) if is_openrouter => ThinkingForm::Reasoning,
        (ThinkingForm::Untold, _) => ThinkingForm::Untold,
        _ if !can(ModelFeature::Reasoning) => ThinkingForm::Untold,
        (_, Dialect::Messages) if !can(ModelFeature::AdaptiveThinking) => ThinkingForm::Budget,
        (form, _) => form,
    }
}

fn words_of(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Notes once that choices of `key` are passed over.
fn note_passed(notes: &mut Vec<String>, key: RouteName, reasons: &[String]) {
    if reasons.is_empty() {
        return;
    }
    let note = format!("`models.{key}` passes over {}", reasons.join("; "));
    if !notes.contains(&note) {
        notes.push(note);
    }
}
