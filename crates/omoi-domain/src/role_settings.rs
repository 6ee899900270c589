//! How the models of a role are to answer: how hard they think, and how long prompt caches are kept.

use std::fmt;
use std::str::FromStr;

use crate::model_route::RouteName;

crate::closed_set! {
    /// How hard a model works on an answer.
    EffortChoice {
        /// A little.
        Low = "low",
        /// As usual.
        Medium = "medium",
        /// Much.
        High = "high",
    }
}

crate::closed_set! {
    /// How long a prompt cache keeps what a request leaves there.
    CacheChoice {
        /// Five minutes, as without a setting.
        Minutes = "5m",
        /// An hour, at a higher price.
        Hour = "1h",
    }
}

/// Least tokens of thought that a maker takes.
pub const THINKING_TOKENS_MIN: u32 = 1_024;
/// Most tokens of thought.
pub const THINKING_TOKENS_MAX: u32 = 128_000;

/// Whether a model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingChoice {
    /// It does not.
    Off,
    /// As long as it finds right.
    Adaptive,
    /// With so many tokens at most.
    Tokens(u32),
}

/// How the models of one role are to answer; what is `None` is left to their makers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleSettings {
    /// How hard they work.
    pub effort: Option<EffortChoice>,
    /// Whether they think.
    pub thinking: Option<ThinkingChoice>,
    /// How long prompt caches are kept.
    pub cache: Option<CacheChoice>,
}

/// The settings of a role as a person writes them: `planner=effort:high/thinking:adaptive/cache:1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleSettingsRow {
    /// The role or kind of task.
    pub role: RouteName,
    /// What holds for it.
    pub settings: RoleSettings,
}

impl RoleSettings {
    /// What holds for `role`: its own row, and for the work of agents behind that the row of all agents.
    pub fn of_role(rows: &[RoleSettingsRow], role: RouteName) -> Self {
        let find = |name| {
            let found = rows.iter().find(|row| row.role == name);
            found.map(|row| row.settings).unwrap_or_default()
        };
        let own = find(role);
        match RouteName::OF_WORK.contains(&role) {
            true => own.or_else(find(RouteName::Agent)),
            false => own,
        }
    }

    /// These, with the ones of `other` where they say nothing.
    #[must_use]
    pub fn or_else(self, other: Self) -> Self {
        Self {
            effort: self.effort.or(other.effort),
            thinking: self.thinking.or(other.thinking),
            cache: self.cache.or(other.cache),
        }
    }

    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RoleSettingsRow {
    /// How a row is written.
    pub const SHAPE: &str = "ROLE=effort:LEVEL/thinking:MODE/cache:LIFE, one of the three at least: low, medium or high; off, adaptive or 1024 to 128000 tokens; 5m or 1h";
}

impl fmt::Display for ThinkingChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Adaptive => f.write_str("adaptive"),
            Self::Tokens(tokens) => write!(f, "{tokens}"),
        }
    }
}

impl FromStr for ThinkingChoice {
    type Err = BadRoleSettings;

    fn from_str(text: &str) -> Result<Self, BadRoleSettings> {
        match (text, text.parse::<u32>()) {
            ("off", _) => Ok(Self::Off),
            ("adaptive", _) => Ok(Self::Adaptive),
            (_, Ok(tokens)) if (THINKING_TOKENS_MIN..=THINKING_TOKENS_MAX).contains(&tokens) => {
                Ok(Self::Tokens(tokens))
            }
            _ => Err(BadRoleSettings),
        }
    }
}

impl fmt::Display for RoleSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.effort.map(|effort| format!("effort:{effort}")),
            self.thinking.map(|thinking| format!("thinking:{thinking}")),
            self.cache.map(|cache| format!("cache:{cache}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join("/"))
    }
}

impl fmt::Display for RoleSettingsRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.role, self.settings)
    }
}

/// The text does not say how models are to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be {}", RoleSettingsRow::SHAPE)]
pub struct BadRoleSettings;

impl FromStr for RoleSettingsRow {
    type Err = BadRoleSettings;

    fn from_str(text: &str) -> Result<Self, BadRoleSettings> {
        let (role, words) = text.split_once('=').ok_or(BadRoleSettings)?;
        let mut settings = RoleSettings::default();
        for word in words.split('/') {
            let (name, value) = word.split_once(':').ok_or(BadRoleSettings)?;
            let value = value.trim();
            match name.trim() {
                "effort" => {
                    let effort = EffortChoice::parse(value).ok_or(BadRoleSettings)?;
                    settings.effort = Some(effort);
                }
                "thinking" => settings.thinking = Some(value.parse()?),
                "cache" => {
                    let cache = CacheChoice::parse(value).ok_or(BadRoleSettings)?;
                    settings.cache = Some(cache);
                }
                _ => return Err(BadRoleSettings),
            }
        }
        Ok(Self {
            role: RouteName::parse(role.trim()).ok_or(BadRoleSettings)?,
            settings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_role_are_read_and_written() {
        for text in [
            "planner=effort:high/thinking:adaptive/cache:1h",
            "title=thinking:off",
            "agent=thinking:8000",
        ] {
            let row: RoleSettingsRow = text.parse().unwrap();
            assert_eq!(row.to_string(), text);
        }
        for bad in [
            "",
            "agent",
            "agent=",
            "agent=effort",
            "agent=effort:huge",
            "agent=thinking:1023",
            "agent=thinking:128001",
            "agent=cache:2h",
            "agent=speed:fast",
            "nobody=effort:low",
        ] {
            assert_eq!(
                bad.parse::<RoleSettingsRow>(),
                Err(BadRoleSettings),
                "{bad}"
            );
        }
    }

    #[test]
    fn kinds_of_tasks_have_what_agents_have_unless_they_say_otherwise() {
        let rows = ["agent=effort:medium/cache:1h", "fix_bug=effort:high"];
        let rows = rows.map(|row| row.parse().unwrap());
        let of = |role| RoleSettings::of_role(&rows, role).to_string();
        assert_eq!(of(RouteName::FixBug), "effort:high/cache:1h");
        assert_eq!(of(RouteName::Planner), "effort:medium/cache:1h");
        assert!(RoleSettings::of_role(&rows, RouteName::Title).is_empty());
    }
}
