//! The settings of a role on its models: what each is told, what is left out, and what is refused.

use serde_json::Value;

use omoi_domain::model_route::RouteName;
use omoi_domain::role_settings::{CacheChoice, RoleSettings, ThinkingChoice};

use super::{ModelRoute, RouteError};
use crate::catalogue::{EffortLevel, ModelCatalogue, ModelEntry, ModelFeature, provider_at};
use crate::conversation::{ThinkingForm, ThinkingSettings, thinking_fields};
use crate::wire::dialect::Dialect;

/// Gives `wanted` to the models of `role`. What a further choice is known not to do it is not asked for.
///
/// # Errors
/// Refuses what the first choice is known not to do.
pub(super) fn set_up_role(
    role: RouteName,
    wanted: RoleSettings,
    routes: &mut [ModelRoute],
    catalogue: &ModelCatalogue,
) -> Result<(), RouteError> {
    for (nth, route) in routes.iter_mut().enumerate() {
        route.settings = wanted;
        let known = catalogue.find_entry(provider_at(&route.base_url), &route.model);
        let Some(impossible) = known.and_then(|known| find_impossible(known, route)) else {
            continue;
        };
        if nth == 0 {
            let model = &route.model;
            return Err(RouteError::ImpossibleSetting {
                route: role,
                setting: impossible.setting.to_string(),
                reason: format!("`{model}` {}", impossible.reason),
            });
        }
        match impossible.setting {
            ImpossibleSetting::Effort(_) => route.settings.effort = None,
            ImpossibleSetting::Thinking(_) => route.settings.thinking = None,
        }
    }
    Ok(())
}

/// Something that a model is known not to do.
struct KnownLimit {
    setting: ImpossibleSetting,
    reason: String,
}

enum ImpossibleSetting {
    Effort(String),
    Thinking(ThinkingChoice),
}

impl std::fmt::Display for ImpossibleSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Effort(effort) => write!(f, "effort:{effort}"),
            Self::Thinking(thinking) => write!(f, "thinking:{thinking}"),
        }
    }
}

fn find_impossible(known: &ModelEntry, route: &ModelRoute) -> Option<KnownLimit> {
    let RoleSettings {
        effort, thinking, ..
    } = route.settings;
    // Without the word of its maker nobody knows what it is told.
    let is_maker = matches!(route.thinking, ThinkingForm::Effort | ThinkingForm::Budget);
    let can_think = known.features.contains(&ModelFeature::Reasoning);
    let refuse = |thinking, reason: &str| {
        Some(KnownLimit {
            setting: ImpossibleSetting::Thinking(thinking),
            reason: reason.to_owned(),
        })
    };
    match thinking {
        Some(ThinkingChoice::Off) if !can_think => {}
        Some(thinking) if !can_think => return refuse(thinking, "does not think"),
        Some(thinking @ ThinkingChoice::Adaptive) if route.thinking == ThinkingForm::Budget => {
            return refuse(
                thinking,
                "thinks by a number of tokens: write thinking:8000",
            );
        }
        Some(thinking @ ThinkingChoice::Off)
            if route.dialect != Dialect::Messages
                && is_maker
                && !known.efforts.is_empty()
                && !known.efforts.contains(&EffortLevel::None) =>
        {
            return refuse(thinking, "always thinks: write effort:low");
        }
        Some(_) | None => {}
    }
    let effort = effort.filter(|_| is_maker)?.as_str();
    let levels = known.efforts.iter().map(|level| level.as_str());
    let levels: Vec<&str> = levels.collect();
    let is_unknown = !levels.is_empty() && !levels.contains(&effort);
    is_unknown.then(|| KnownLimit {
        setting: ImpossibleSetting::Effort(effort.to_owned()),
        reason: format!("knows the efforts {}", levels.join(", ")),
    })
}

/// What a model is told of the settings of its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldSettings {
    /// The fields that its requests get, as JSON; empty where there are none.
    pub fields: String,
    /// Settings that its maker has no word for, with the reason.
    pub left_out: Vec<String>,
}

impl ModelRoute {
    /// What of its settings a request gets that has no choice of its own.
    pub fn told_settings(&self) -> ToldSettings {
        let RoleSettings {
            effort,
            thinking,
            cache,
        } = self.settings;
        let wanted = ThinkingSettings::of_role(&self.settings);
        let mut fields = thinking_fields(self.thinking, self.dialect, &wanted, self.max_tokens);
        let mut left_out = Vec::new();
        let names = [
            effort.map(|effort| format!("effort:{effort}")),
            thinking.map(|thinking| format!("thinking:{thinking}")),
        ];
        let names: Vec<String> = names.into_iter().flatten().collect();
        if fields.is_empty() && !names.is_empty() {
            left_out.push(format!("{} (it cannot be told)", names.join(" and ")));
        }
        match cache {
            Some(CacheChoice::Hour) if self.keeps_cache_for_hour() => {
                fields.insert("cache_control".to_owned(), serde_json::json!({"ttl": "1h"}));
            }
            Some(CacheChoice::Hour) => {
                left_out.push("cache:1h (it keeps its cache by itself)".to_owned());
            }
            Some(CacheChoice::Minutes) | None => {}
        }
        ToldSettings {
            fields: match fields.is_empty() {
                true => String::new(),
                false => Value::Object(fields).to_string(),
            },
            left_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use omoi_domain::time::Timestamp;
    use secrecy::SecretString;

    use super::*;
    use crate::route::{LlmSettings, ModelServer, ProviderKey, RouteTable};

    /// The routes of a person with keys for both vendors.
    fn routes(models: &[&str], rows: &[&str]) -> Result<RouteTable, RouteError> {
        let key = |key: fn(SecretString) -> ProviderKey| ModelServer {
            key: key("k".into()),
            max_tokens: 30_000,
            ..ModelServer::default()
        };
        let settings = LlmSettings {
            anthropic: key(ProviderKey::Header),
            openai: key(ProviderKey::Bearer),
            choices: [(
                RouteName::Agent,
                models.iter().map(|model| (*model).to_owned()).collect(),
            )]
            .into(),
            role_settings: rows.iter().map(|row| row.parse().unwrap()).collect(),
            ..LlmSettings::default()
        };
        let list = ModelCatalogue::load_embedded().unwrap();
        RouteTable::resolve_all(&settings, &list, Timestamp::of_date("2026-11-28").unwrap())
    }

    #[test]
    fn each_model_is_told_what_its_maker_has_a_word_for() {
        let rows = [
            "agent=effort:high/thinking:adaptive/cache:1h",
            "planner=effort:low",
        ];
        let table = routes(&["claude-sonnet-5-5"], &rows).unwrap();
        let told = |name| table.route_named(name).told_settings().fields;
        assert_eq!(
            told(RouteName::Agent),
            r#"{"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},"cache_control":{"ttl":"1h"}}"#
        );
        assert_eq!(
            told(RouteName::Planner),
            r#"{"thinking":{"type":"adaptive"},"output_config":{"effort":"low"},"cache_control":{"ttl":"1h"}}"#
        );
        assert_eq!(told(RouteName::FixBug), told(RouteName::Agent));
        assert_eq!(told(RouteName::Judge), "");
        // Older models want a number of tokens.
        let table = routes(&["claude-sonnet-4-5"], &["agent=thinking:4000"]).unwrap();
        assert_eq!(
            table.route_named(RouteName::Agent).told_settings().fields,
            r#"{"thinking":{"type":"enabled","budget_tokens":4000}}"#
        );
        let table = routes(&["gpt-5.5"], &["agent=effort:high/cache:1h"]).unwrap();
        let told = table.route_named(RouteName::Agent).told_settings();
        assert_eq!(told.fields, r#"{"reasoning_effort":"high"}"#);
        assert_eq!(told.left_out, ["cache:1h (it keeps its cache by itself)"]);
    }

    #[test]
    fn what_the_first_choice_cannot_do_is_refused() {
        let says = |models: &[&str], row: &str| routes(models, &[row]).unwrap_err().to_string();
        assert_eq!(
            says(&["claude-sonnet-4-5"], "agent=thinking:adaptive"),
            "`models.settings` wants thinking:adaptive of `agent`, but `claude-sonnet-4-5` thinks by a number of \
             tokens: write thinking:8000"
        );
        assert_eq!(
            says(&["gpt-4.1"], "agent=thinking:2000"),
            "`models.settings` wants thinking:2000 of `agent`, but `gpt-4.1` does not think"
        );
        // A further choice does what it can.
        let models = ["claude-sonnet-5-5", "claude-sonnet-4-5"];
        let table = routes(&models, &["agent=thinking:adaptive/cache:1h"]).unwrap();
        let told: Vec<String> = table
            .choices_of(RouteName::Agent)
            .iter()
            .map(|route| route.told_settings().fields)
            .collect();
        assert_eq!(
            told,
            [
                r#"{"thinking":{"type":"adaptive"},"cache_control":{"ttl":"1h"}}"#,
                r#"{"cache_control":{"ttl":"1h"}}"#
            ]
        );
    }
}
