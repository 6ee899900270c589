//! The routes of a process: for each kind of question the models that may answer it, first choice first.

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::model_kind::BroughtModel;
use omoi_domain::model_route::{AnswerTimes, RouteName};
use omoi_domain::role_settings::RoleSettings;
use omoi_domain::time::Timestamp;

use sha2::{Digest as _, Sha256};

use super::chooser::RouteChooser;
use super::role_setup::set_up_role;
use super::server_list::ServerList;
use super::{
    LlmSettings, ModelRoute, ProviderKey, RouteError, ServerSettings, ToldSettings, default_mode,
    trim_url, vendor_name,
};
use crate::brought_keys::BroughtKeys;
use crate::catalogue::{ModelCatalogue, provider_at};
use crate::conversation::ThinkingForm;
use crate::meter::ModelCaller;
use crate::pricing::ModelPrice;
use crate::upstream::AnswerLimits;
use crate::wire::dialect::Dialect;

/// Words in the names of models that are made for small questions.
const SMALL_FAMILIES: [&str; 6] = ["haiku", "mini", "nano", "luna", "small", "lite"];

/// One of the models of a route, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteChoice {
    /// The kind of question.
    pub name: RouteName,
    /// Position in its list, from 0.
    pub nth: usize,
}

impl From<RouteName> for RouteChoice {
    /// The first choice.
    fn from(name: RouteName) -> Self {
        Self { name, nth: 0 }
    }
}

/// The models of every route.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// No list is empty.
    table: BTreeMap<RouteName, Vec<ModelRoute>>,
    /// What a name has that is not in the table. Not empty either.
    fallback: Vec<ModelRoute>,
    /// Choices that were passed over, and why.
    choice_notes: Vec<String>,
}

impl RouteTable {
    /// Works out every route: the choices of its list that can be asked. Where none is named, it is the
    /// first server of the settings, and at a vendor's own the newest model of a family that `catalogue`
    /// knows at `now`.
    ///
    /// # Errors
    /// Returns [`RouteError`] saying exactly what to set; nothing is assumed without a key.
    pub fn resolve_all(
        settings: &LlmSettings,
        catalogue: &ModelCatalogue,
        now: Timestamp,
    ) -> Result<Self, RouteError> {
        let servers = ServerList::from_settings(settings)?;
        Self::resolve_with(&servers, settings, catalogue, now)
    }

    /// As [`RouteTable::resolve_all`], with the providers for which the deployment has no key and an organisation may
    /// bring one: where a list names them, and as first choices where the deployment has none at all. Their models
    /// [wait for that key](ModelRoute::awaited_key).
    ///
    /// # Errors
    /// Returns [`RouteError`] where also with every key there is no model.
    pub fn resolve_awaited(
        settings: &LlmSettings,
        catalogue: &ModelCatalogue,
        now: Timestamp,
    ) -> Result<Self, RouteError> {
        let servers = ServerList::with_awaited(settings)?;
        Self::resolve_with(&servers, settings, catalogue, now)
    }

    fn resolve_with(
        servers: &ServerList,
        settings: &LlmSettings,
        catalogue: &ModelCatalogue,
        now: Timestamp,
    ) -> Result<Self, RouteError> {
        let chooser = RouteChooser {
            settings,
            servers,
            catalogue,
            now,
        };
        let mut table = BTreeMap::new();
        let mut notes = Vec::new();
        for name in RouteName::ALL.iter().copied() {
            let list = settings.choices.get(&name);
            let has_own = list.is_some_and(|own| !own.is_empty())
                || settings.role_settings.iter().any(|row| row.role == name);
            // Agents that have nothing of their own have the models of all agents.
            if !RouteName::OF_WORK.contains(&name) || has_own {
                let mut routes = chooser.choose_routes(name, &mut notes)?;
                let wanted = RoleSettings::of_role(&settings.role_settings, name);
                set_up_role(name, wanted, &mut routes, catalogue)?;
                table.insert(name, routes);
            }
        }
        let mut routes = Self::from_full_table(table);
        routes.choice_notes = notes;
        Ok(routes)
    }

    /// Every route to the simulated model at `base_url`, which speaks either format.
    pub fn all_simulated(dialect: Dialect, base_url: &str) -> Self {
        let route = ModelRoute {
            dialect,
            base_url: trim_url(base_url),
            model: "simulated".to_owned(),
            // Any key will do there, but that one is sent is checked.
            key: match dialect {
                Dialect::Messages => ProviderKey::Header("simulated".into()),
                Dialect::ChatCompletions | Dialect::Responses => {
                    ProviderKey::Bearer("simulated".into())
                }
            },
            answer_mode: default_mode(dialect),
            max_tokens: u32::MAX,
            price: ModelPrice::FREE,
            window_tokens: None,
            limits: AnswerLimits::default(),
            takes_sampling: true,
            thinking: ThinkingForm::of_server(dialect, false),
            settings: RoleSettings::default(),
            only_program: None,
            server: ServerSettings::default(),
            simulated: true,
        };
        Self::from_full_table([(RouteName::Agent, vec![route])].into())
    }

    /// Routes as given; a name left out goes where [`RouteName::Agent`] or else the first one goes.
    /// `None` when `table` is empty.
    pub fn from_table(table: BTreeMap<RouteName, ModelRoute>) -> Option<Self> {
        let lists = table.into_iter().map(|(name, route)| (name, vec![route]));
        Self::from_lists(lists.collect())
    }

    /// As [`RouteTable::from_table`], with the models of each name in order of preference. `None` also
    /// when a list is empty.
    pub fn from_lists(table: BTreeMap<RouteName, Vec<ModelRoute>>) -> Option<Self> {
        let usual = table.get(&RouteName::Agent);
        let fallback = usual.or_else(|| table.values().next())?.clone();
        if table.values().any(Vec::is_empty) {
            return None;
        }
        Some(Self {
            table,
            fallback,
            choice_notes: Vec::new(),
        })
    }

    /// The first choice of the route called `name`.
    #[expect(clippy::indexing_slicing, reason = "no list is empty")]
    pub fn route_named(&self, name: RouteName) -> &ModelRoute {
        &self.choices_of(name)[0]
    }

    /// The models of the route called `name`, in order of preference.
    pub fn choices_of(&self, name: RouteName) -> &[ModelRoute] {
        self.table.get(&name).unwrap_or(&self.fallback)
    }

    /// Those of the choices of `name`, as in `order`, whose keys are for calls of `program` too; all of them
    /// where there is none, and then each refuses.
    pub fn open_choices(
        &self,
        name: RouteName,
        order: Vec<usize>,
        program: Option<AgentProgram>,
    ) -> Vec<usize> {
        let is_open = |nth: &usize| {
            let choice = RouteChoice { name, nth: *nth };
            !self.route_at(choice).is_reserved_from(program)
        };
        let open: Vec<usize> = order.iter().copied().filter(is_open).collect();
        match open.is_empty() {
            true => order,
            false => open,
        }
    }

    /// The first choice of `name` that the platform itself may ask.
    pub fn platform_choice(&self, name: RouteName) -> Option<RouteChoice> {
        let mut choices = self.choices_of(name).iter();
        let nth = choices.position(|route| !route.is_reserved_from(None))?;
        Some(RouteChoice { name, nth })
    }

    /// The model at `choice`; the first of its list where that is shorter.
    pub fn route_at(&self, choice: RouteChoice) -> &ModelRoute {
        let choices = self.choices_of(choice.name);
        choices
            .get(choice.nth)
            .unwrap_or_else(|| self.route_named(choice.name))
    }

    /// Every model of every route that has models of its own.
    pub fn all_routes(&self) -> impl Iterator<Item = (RouteName, &ModelRoute)> {
        let lists = self.table.iter();
        lists.flat_map(|(name, list)| list.iter().map(|route| (*name, route)))
    }

    /// The providers for which organisations may bring keys of their own.
    pub fn key_providers(&self) -> BTreeSet<String> {
        let names = self.all_routes();
        let names = names.filter_map(|(_, route)| route.key_provider());
        names.map(ToOwned::to_owned).collect()
    }

    /// The models of `name` that wait for the key of an organisation.
    pub(crate) fn brought_models(&self, name: RouteName) -> Vec<BroughtModel> {
        let choices = self.choices_of(name).iter();
        let awaiting = choices.filter(|route| route.awaited_key().is_some());
        let named = awaiting.filter_map(|route| {
            Some(BroughtModel {
                provider: route.key_provider()?.to_owned(),
                model: route.model.clone(),
            })
        });
        named.collect()
    }

    /// The same models, asked with `keys` where they have one for a model's provider. Of a model that the deployment asks
    /// with several keys of its own in turn, one is left. One that still waits for a key is left where no other is.
    #[must_use]
    pub(crate) fn with_brought_keys(&self, keys: &BroughtKeys) -> Self {
        let bring = |list: &Vec<ModelRoute>| {
            let mut brought: Vec<ModelRoute> = Vec::new();
            for route in list {
                let route = route.with_brought_key(keys);
                let target = route.circuit_key();
                if brought.iter().all(|other| other.circuit_key() != target) {
                    brought.push(route);
                }
            }
            if brought.iter().any(|route| route.awaited_key().is_none()) {
                brought.retain(|route| route.awaited_key().is_none());
            }
            brought
        };
        Self {
            table: self
                .table
                .iter()
                .map(|(name, list)| (*name, bring(list)))
                .collect(),
            fallback: bring(&self.fallback),
            choice_notes: self.choice_notes.clone(),
        }
    }

    /// Names the models that answer, with where and with which key. A scripted one has another address at each
    /// start.
    pub fn models_digest(&self) -> String {
        let mut digest = Sha256::new();
        for (name, route) in self.all_routes() {
            let model = match route.simulated {
                true => route.model.clone(),
                false => route.circuit_key(),
            };
            digest.update(format!("{name}: {model}\n"));
        }
        hex::encode(digest.finalize())
    }

    /// What people should know before money is spent: which choices are passed over and which prices are
    /// assumed.
    pub fn route_notes(&self) -> Vec<String> {
        let mut notes = self.choice_notes.clone();
        for (_, route) in self.all_routes() {
            let note = format!(
                "the price of `{}` is not known: it is charged like {}'s dearest model; `llm.prices` sets its own",
                route.model,
                provider_at(&route.base_url).unwrap_or(vendor_name(route.dialect)),
            );
            if route.price.is_assumed && !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }

    /// What each model of `name` is told of the settings of its role, and what its maker has no word for.
    pub fn settings_notes(&self, name: RouteName) -> Vec<String> {
        let mut notes = Vec::new();
        for route in self.choices_of(name) {
            let ToldSettings { fields, left_out } = route.told_settings();
            let mut parts = Vec::new();
            if !fields.is_empty() {
                parts.push(format!("is told {fields}"));
            }
            if !left_out.is_empty() {
                parts.push(format!("is not told {}", left_out.join(", ")));
            }
            let note = format!("`{}` of {name} {}", route.model, parts.join(" and "));
            // One model with several keys is one.
            if !parts.is_empty() && !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }

    /// Gives routes as much time as `rows` say.
    #[must_use]
    pub fn with_answer_times(mut self, rows: &[AnswerTimes]) -> Self {
        for times in rows {
            let mut choices = self.choices_of(times.route).to_vec();
            for route in &mut choices {
                route.limits = AnswerLimits {
                    first_content: times.first_content,
                    silence: times.silence,
                    total: times.total,
                    ..route.limits
                };
            }
            self.table.insert(times.route, choices);
        }
        self
    }

    /// The route of the turns of `caller`: that of its task's type or of planning, where a person names
    /// models for it.
    pub fn work_route(&self, caller: &ModelCaller) -> RouteName {
        let of_role = RouteName::of_agent(caller.role, caller.task_type);
        match self.table.contains_key(&of_role) {
            true => of_role,
            false => RouteName::Agent,
        }
    }

    /// The route that an agent's program means by `model`: small models are for titles, everything else it
    /// names is a turn of its work.
    pub fn route_for_caller(&self, caller: &ModelCaller, model: &str) -> RouteName {
        match self.route_for_model(model) {
            RouteName::Title => RouteName::Title,
            _ => self.work_route(caller),
        }
    }

    /// The route that a caller means by `model`: a route's name, the model that some route uses, or a
    /// small model of a known family; whatever else it names is the agent's.
    pub fn route_for_model(&self, model: &str) -> RouteName {
        // `[1m]` and the like choose a window, which here the route does.
        let plain = model.split('[').next().unwrap_or_default().trim();
        if let Some(named) = RouteName::parse(plain) {
            return named;
        }
        // Agents first: they are who asks by model name.
        let names = [RouteName::Agent, RouteName::Judge, RouteName::Title];
        let others = RouteName::ALL.iter().copied();
        let mut names = names.into_iter().chain(others);
        if let Some(used) = names.find(|name| self.route_named(*name).model == plain) {
            return used;
        }
        let lower = plain.to_ascii_lowercase();
        let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
        match words.any(|word| SMALL_FAMILIES.contains(&word)) {
            true => RouteName::Title,
            false => RouteName::Agent,
        }
    }

    fn from_full_table(table: BTreeMap<RouteName, Vec<ModelRoute>>) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "both callers fill in the agents' list with one at least"
        )]
        Self::from_lists(table).expect("a full table")
    }
}
