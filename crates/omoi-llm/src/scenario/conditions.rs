//! Which requests a rule answers: the keys of a request, the conditions of a rule, and whether one rule hides another.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

/// What a rule can see of a request: the gateway's headers, and nothing of the words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestKeys {
    /// Role of the caller.
    pub role: Option<String>,
    /// Planning phase of the attempt.
    pub phase: Option<String>,
    /// Plan-local id of the task.
    pub task: Option<String>,
    /// Title of the task.
    pub title: Option<String>,
    /// Round of the attempt.
    pub round: Option<u32>,
    /// Assistant messages in the request so far.
    pub turn: u32,
}

impl RequestKeys {
    fn key_text(&self, key: TextKey) -> Option<&str> {
        match key {
            TextKey::Role => self.role.as_deref(),
            TextKey::Phase => self.phase.as_deref(),
            TextKey::Task => self.task.as_deref(),
        }
    }
}

impl fmt::Display for RequestKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [
            ("role", &self.role),
            ("phase", &self.phase),
            ("task", &self.task),
            ("title", &self.title),
        ];
        for (key, value) in texts {
            match value {
                Some(value) => write!(f, "{key} `{value}`, ")?,
                None => write!(f, "no {key}, ")?,
            }
        }
        match self.round {
            Some(round) => write!(f, "round {round}, ")?,
            None => f.write_str("no round, ")?,
        }
        write!(f, "turn {}", self.turn)
    }
}

/// The conditions of a rule; a condition that is not given always holds.
#[derive(Clone, Debug, Default)]
pub struct RuleConditions {
    pub(super) role: Option<String>,
    pub(super) phase: Option<String>,
    pub(super) task: Option<String>,
    pub(super) title: Option<TitlePattern>,
    pub(super) round: Option<NumberSet>,
    pub(super) turn: Option<NumberSet>,
}

#[derive(Clone, Copy)]
enum TextKey {
    Role,
    Phase,
    Task,
}

const TEXT_KEYS: [(&str, TextKey); 3] = [
    ("role", TextKey::Role),
    ("phase", TextKey::Phase),
    ("task", TextKey::Task),
];

impl RuleConditions {
    /// Whether the rule answers a request with these keys.
    pub fn matches_keys(&self, keys: &RequestKeys) -> bool {
        self.unmet_conditions(keys).is_empty()
    }

    /// Says of each condition that does not hold what was found and what was wanted.
    pub fn unmet_conditions(&self, keys: &RequestKeys) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differ = |key: &str, found: Option<String>, wanted: String| {
            let found = found.unwrap_or_else(|| "missing".to_owned());
            differences.push(format!("{key} is {found}, the rule wants {wanted}"));
        };
        for (name, key) in TEXT_KEYS {
            let found = keys.key_text(key);
            if let Some(wanted) = self.wanted_text(key)
                && found != Some(wanted)
            {
                differ(
                    name,
                    found.map(|found| format!("`{found}`")),
                    format!("`{wanted}`"),
                );
            }
        }
        let title = keys.title.as_deref();
        if let Some(wanted) = &self.title
            && !title.is_some_and(|title| wanted.matcher.is_match(title))
        {
            differ(
                "title",
                title.map(|title| format!("`{title}`")),
                format!("`{}`", wanted.text),
            );
        }
        if let Some(wanted) = &self.round
            && !keys.round.is_some_and(|round| wanted.contains(round))
        {
            differ(
                "round",
                keys.round.map(|round| round.to_string()),
                wanted.to_string(),
            );
        }
        if let Some(wanted) = &self.turn
            && !wanted.contains(keys.turn)
        {
            differ("turn", Some(keys.turn.to_string()), wanted.to_string());
        }
        differences
    }

    /// Whether every request that `other` matches is matched here too.
    pub(super) fn covers_conditions(&self, other: &Self) -> bool {
        let texts = TEXT_KEYS.iter().all(|(_, key)| {
            self.wanted_text(*key)
                .is_none_or(|mine| other.wanted_text(*key).is_some_and(|its| its == mine))
        });
        let titles = self.title.as_ref().is_none_or(|mine| {
            other.title.as_ref().is_some_and(|its| {
                mine.text == its.text
                    || (its.is_literal() && mine.matcher.is_match(&its.text))
                    || mine.text == "*"
            })
        });
        let numbers = |mine: &Option<NumberSet>, its: &Option<NumberSet>| {
            mine.as_ref().is_none_or(|mine| {
                its.as_ref()
                    .map_or_else(|| mine.is_everything(), |its| mine.contains_set(its))
            })
        };
        // Every request has a turn, so the range of all turns hides a rule that names none; a round may be missing.
        texts
            && titles
            && numbers(&self.turn, &other.turn)
            && (self.round.is_none() || other.round.is_some())
            && numbers(&self.round, &other.round)
    }

    fn wanted_text(&self, key: TextKey) -> Option<&str> {
        match key {
            TextKey::Role => self.role.as_deref(),
            TextKey::Phase => self.phase.as_deref(),
            TextKey::Task => self.task.as_deref(),
        }
    }
}

/// A pattern for titles.
#[derive(Clone, Debug)]
pub(super) struct TitlePattern {
    text: String,
    matcher: GlobMatcher,
}

impl TitlePattern {
    pub(super) fn new(text: &str) -> Result<Self, globset::Error> {
        let glob = GlobBuilder::new(text).backslash_escape(true).build()?;
        Ok(Self {
            text: text.to_owned(),
            matcher: glob.compile_matcher(),
        })
    }

    fn is_literal(&self) -> bool {
        !self.text.contains(['*', '?', '[', '{', '\\'])
    }
}

/// A set of rounds or turns: sorted ranges that neither touch nor overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NumberSet(Vec<(u32, u32)>);

impl NumberSet {
    /// The union of inclusive ranges.
    pub(super) fn union_of(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match merged.last_mut() {
                Some((_, end)) if from <= end.saturating_add(1) => *end = to.max(*end),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    fn contains(&self, number: u32) -> bool {
        self.0
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&number))
    }

    fn contains_set(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .all(|(from, to)| self.0.iter().any(|(a, b)| a <= from && to <= b))
    }

    fn is_everything(&self) -> bool {
        self.0 == [(0, u32::MAX)]
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (from, to)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" or ")?;
            }
            match (from, to) {
                (from, to) if from == to => write!(f, "{from}")?,
                (from, &u32::MAX) => write!(f, "{from}..")?,
                (from, to) => write!(f, "{from}..={to}")?,
            }
        }
        Ok(())
    }
}

/// Reads `3..`, `..=3` and `1..=3`; anything else, or a range with nothing in it, is `None`.
pub(super) fn parse_range(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once("..")?;
    let from = if from.is_empty() {
        0
    } else {
        from.parse().ok()?
    };
    let to = match to.strip_prefix('=') {
        Some(to) => to.parse().ok()?,
        None if to.is_empty() => u32::MAX,
        None => return None,
    };
    (from <= to).then_some((from, to))
}
