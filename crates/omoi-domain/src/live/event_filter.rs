//! Which events a receiver asked for.

use uuid::Uuid;

use crate::event::{EntityType, EventKind, LoggedEvent, RelatedIds};
use crate::id::{ProjectId, UserId};

/// Most values of one list of a filter.
pub const FILTER_VALUES_MAX: usize = 100;

/// What a filter looks at in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFacts {
    /// Its kind.
    pub kind: EventKind,
    /// The row it is about.
    pub entity_id: Uuid,
    /// The project, where there is one.
    pub project_id: Option<ProjectId>,
    /// The rows it is found by beside.
    pub related: RelatedIds,
    /// The one person who is told of it; none where everybody is who may read it.
    pub recipient: Option<UserId>,
}

impl EventFacts {
    /// The facts of `event`.
    pub fn of_event(event: &LoggedEvent) -> Self {
        Self {
            kind: event.stored.event.kind(),
            entity_id: event.entity_id(),
            project_id: event.project_id,
            related: event.related_ids(),
            recipient: event.stored.event.event_subject().recipient_id(),
        }
    }
}

/// Lists of values as a receiver writes them. A list that is absent says nothing about what is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterLists {
    /// Names of events, or of groups as `ticket.*`.
    pub event_types: Option<Vec<String>>,
    /// Kinds of rows.
    pub entity_types: Option<Vec<String>>,
    /// Ids of rows: of the entity, of the project, or of any related row.
    pub entity_ids: Option<Vec<String>>,
    /// Ids of projects.
    pub project_ids: Option<Vec<String>>,
}

crate::closed_set! {
    /// What becomes of the lists that a receiver does not name.
    SubscribeMode {
        /// They stay as they are.
        Merge = "merge",
        /// They are emptied.
        Replace = "replace",
    }
}

/// A filter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No event has that name, or none begins so.
    #[error("there is no event `{0}`: docs/events.md lists them")]
    UnknownEvent(String),
    /// Events are about no such rows.
    #[error("there is no entity type `{0}`: docs/events.md lists them")]
    UnknownEntity(String),
    /// A value is not an id.
    #[error("`{value}` in `{list}` is not an id")]
    MalformedId {
        /// The list.
        list: &'static str,
        /// The value.
        value: String,
    },
    /// A list is too long.
    #[error("`{list}` has {n_values} values, and may have {FILTER_VALUES_MAX}")]
    TooManyValues {
        /// The list.
        list: &'static str,
        /// Its length.
        n_values: usize,
    },
}

/// An event's name, or how the names of a group begin.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EventPattern {
    Kind(EventKind),
    Group(String),
}

impl EventPattern {
    fn parse(text: &str) -> Result<Self, FilterError> {
        let pattern = match text.strip_suffix('*') {
            Some(prefix) if prefix.is_empty() || prefix.ends_with('.') => {
                Some(Self::Group(prefix.to_owned()))
            }
            Some(_) => None,
            None => EventKind::parse(text).map(Self::Kind),
        };
        pattern
            .filter(|pattern| EventKind::ALL.iter().any(|kind| pattern.covers(*kind)))
            .ok_or_else(|| FilterError::UnknownEvent(text.to_owned()))
    }

    fn covers(&self, kind: EventKind) -> bool {
        match self {
            Self::Kind(own) => *own == kind,
            Self::Group(prefix) => kind.as_str().starts_with(prefix.as_str()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Kind(kind) => kind.as_str().to_owned(),
            Self::Group(prefix) => format!("{prefix}*"),
        }
    }
}

/// What a receiver asked for: of every list that has values, one must fit. Nothing asked for is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveFilter {
    events: Vec<EventPattern>,
    entity_types: Vec<EntityType>,
    entity_ids: Vec<Uuid>,
    projects: Vec<ProjectId>,
    /// Whether the receiver took back the last value of a list, or everything: an empty list would let all pass.
    is_paused: bool,
}

impl LiveFilter {
    /// Whether the receiver asked for an event like this.
    pub fn is_asked(&self, facts: &EventFacts) -> bool {
        let has_id = |id: &Uuid| {
            *id == facts.entity_id
                || facts
                    .project_id
                    .is_some_and(|project| project.as_uuid() == *id)
                || facts.related.contains_id(*id)
        };
        let fits_project = || {
            facts
                .project_id
                .is_some_and(|id| self.projects.contains(&id))
        };
        self.may_ask_kind(facts.kind)
            && (self.entity_ids.is_empty() || self.entity_ids.iter().any(has_id))
            && (self.projects.is_empty() || fits_project())
    }

    /// Whether an event of `kind` may be asked for; which one, its rows decide.
    pub fn may_ask_kind(&self, kind: EventKind) -> bool {
        !self.is_paused
            && (self.events.is_empty() || self.events.iter().any(|p| p.covers(kind)))
            && (self.entity_types.is_empty() || self.entity_types.contains(&kind.entity_type()))
    }

    /// The projects whose events are asked for; none where those of all are.
    pub fn asked_projects(&self) -> &[ProjectId] {
        &self.projects
    }

    /// The filter after the receiver asked for `lists`.
    ///
    /// # Errors
    /// When a list is too long or holds what cannot be matched; the filter is then as before.
    pub fn with_subscribed(
        &self,
        lists: &FilterLists,
        mode: SubscribeMode,
    ) -> Result<Self, FilterError> {
        let asked = AskedLists::parse(lists)?;
        let before = match mode {
            SubscribeMode::Merge => self.clone(),
            SubscribeMode::Replace => Self::default(),
        };
        Ok(Self {
            events: asked.events.unwrap_or(before.events),
            entity_types: asked.entity_types.unwrap_or(before.entity_types),
            entity_ids: asked.entity_ids.unwrap_or(before.entity_ids),
            projects: asked.projects.unwrap_or(before.projects),
            is_paused: false,
        })
    }

    /// The filter after the receiver took `lists` back; everything, where it names none. Who takes back the last
    /// value of a list is told nothing until it subscribes again.
    ///
    /// # Errors
    /// As those of [`LiveFilter::with_subscribed`].
    pub fn with_unsubscribed(&self, lists: &FilterLists) -> Result<Self, FilterError> {
        let back = AskedLists::parse(lists)?;
        let mut filter = self.clone();
        let ended = [
            remove_values(&mut filter.events, back.events),
            remove_values(&mut filter.entity_types, back.entity_types),
            remove_values(&mut filter.entity_ids, back.entity_ids),
            remove_values(&mut filter.projects, back.projects),
        ];
        filter.is_paused |= ended.contains(&true) || *lists == FilterLists::default();
        Ok(filter)
    }

    /// Whether the receiver is told nothing.
    pub const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// The values asked for; a list without any is empty.
    pub fn filter_lists(&self) -> FilterLists {
        let entities = self.entity_types.iter().map(ToString::to_string);
        FilterLists {
            event_types: Some(self.events.iter().map(EventPattern::text).collect()),
            entity_types: Some(entities.collect()),
            entity_ids: Some(self.entity_ids.iter().map(Uuid::to_string).collect()),
            project_ids: Some(self.projects.iter().map(ToString::to_string).collect()),
        }
    }
}

/// Takes `values` out of `list`; tells whether that left it empty.
fn remove_values<T: PartialEq>(list: &mut Vec<T>, values: Option<Vec<T>>) -> bool {
    let n_before = list.len();
    if let Some(values) = values {
        list.retain(|value| !values.contains(value));
    }
    n_before > 0 && list.is_empty()
}

/// The lists a receiver named, read.
struct AskedLists {
    events: Option<Vec<EventPattern>>,
    entity_types: Option<Vec<EntityType>>,
    entity_ids: Option<Vec<Uuid>>,
    projects: Option<Vec<ProjectId>>,
}

impl AskedLists {
    fn parse(lists: &FilterLists) -> Result<Self, FilterError> {
        let entity_type = |text: &str| {
            EntityType::parse(text).ok_or_else(|| FilterError::UnknownEntity(text.to_owned()))
        };
        let project = |text: &str| parse_id("project_ids", text).map(ProjectId::from_uuid);
        Ok(Self {
            events: parse_list(
                "event_types",
                lists.event_types.as_deref(),
                EventPattern::parse,
            )?,
            entity_types: parse_list("entity_types", lists.entity_types.as_deref(), entity_type)?,
            entity_ids: parse_list("entity_ids", lists.entity_ids.as_deref(), |text| {
                parse_id("entity_ids", text)
            })?,
            projects: parse_list("project_ids", lists.project_ids.as_deref(), project)?,
        })
    }
}

fn parse_id(list: &'static str, text: &str) -> Result<Uuid, FilterError> {
    Uuid::try_parse(text).map_err(|_| FilterError::MalformedId {
        list,
        value: text.to_owned(),
    })
}

/// The values of a list, each once.
fn parse_list<T: PartialEq>(
    list: &'static str,
    texts: Option<&[String]>,
    parse_value: impl Fn(&str) -> Result<T, FilterError>,
) -> Result<Option<Vec<T>>, FilterError> {
    let Some(texts) = texts else { return Ok(None) };
    let n_values = texts.len();
    if n_values > FILTER_VALUES_MAX {
        return Err(FilterError::TooManyValues { list, n_values });
    }
    let mut values = Vec::with_capacity(n_values);
    for text in texts {
        let value = parse_value(text)?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(Some(values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{TaskId, TicketId};

    const PROJECT: u128 = 1;
    const TICKET: u128 = 2;
    const TASK: u128 = 3;

    fn id(n: u128) -> String {
        Uuid::from_u128(n).to_string()
    }

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn facts(kind: EventKind) -> EventFacts {
        EventFacts {
            kind,
            entity_id: Uuid::from_u128(TASK),
            project_id: Some(ProjectId::from_uuid(Uuid::from_u128(PROJECT))),
            related: RelatedIds {
                ticket_id: Some(TicketId::from_uuid(Uuid::from_u128(TICKET))),
                task_id: Some(TaskId::from_uuid(Uuid::from_u128(TASK))),
                ..RelatedIds::default()
            },
            recipient: None,
        }
    }

    fn filter(lists: &FilterLists) -> LiveFilter {
        let none = LiveFilter::default();
        none.with_subscribed(lists, SubscribeMode::Merge).unwrap()
    }

    #[test]
    fn every_list_must_fit_and_one_of_its_values() {
        let check = |lists: FilterLists, is_asked: bool| {
            let event = facts(EventKind::TaskCompleted);
            assert_eq!(filter(&lists).is_asked(&event), is_asked, "{lists:?}");
        };
        let events = |names: &[&str]| FilterLists {
            event_types: Some(texts(names)),
            ..FilterLists::default()
        };
        let ids = |n: u128| FilterLists {
            entity_ids: Some(texts(&[&id(9), &id(n)])),
            ..FilterLists::default()
        };
        let projects = |n: u128| FilterLists {
            project_ids: Some(texts(&[&id(n)])),
            ..FilterLists::default()
        };
        let entities = |name: &str| FilterLists {
            entity_types: Some(texts(&[name])),
            ..FilterLists::default()
        };
        check(FilterLists::default(), true);
        check(events(&[]), true);
        check(events(&["task.completed"]), true);
        check(events(&["task.failed", "task.completed"]), true);
        check(events(&["task.failed"]), false);
        check(events(&["task.*"]), true);
        check(events(&["ticket.*"]), false);
        check(events(&["*"]), true);
        check(entities("task"), true);
        check(entities("ticket"), false);
        for n in [PROJECT, TICKET, TASK] {
            check(ids(n), true);
        }
        check(ids(8), false);
        check(projects(PROJECT), true);
        check(projects(TICKET), false);
        let both = FilterLists {
            event_types: Some(texts(&["ticket.*"])),
            ..ids(TASK)
        };
        check(both, false);
        let mut lost = facts(EventKind::TaskCompleted);
        lost.project_id = None;
        assert!(!filter(&projects(PROJECT)).is_asked(&lost));
    }

    #[test]
    fn a_list_that_is_named_replaces_what_was_asked_before() {
        let first = FilterLists {
            event_types: Some(texts(&["task.*", "task.*"])),
            entity_ids: Some(texts(&[&id(TASK)])),
            ..FilterLists::default()
        };
        let start = filter(&first);
        assert_eq!(start.filter_lists().event_types, Some(texts(&["task.*"])));
        let second = FilterLists {
            event_types: Some(texts(&["ticket.created"])),
            ..FilterLists::default()
        };
        let merged = start
            .with_subscribed(&second, SubscribeMode::Merge)
            .unwrap()
            .filter_lists();
        assert_eq!(merged.event_types, Some(texts(&["ticket.created"])));
        assert_eq!(merged.entity_ids, Some(texts(&[&id(TASK)])));
        let replaced = start
            .with_subscribed(&second, SubscribeMode::Replace)
            .unwrap()
            .filter_lists();
        assert_eq!(replaced.event_types, Some(texts(&["ticket.created"])));
        assert_eq!(replaced.entity_ids, Some(texts(&[])));
    }

    #[test]
    fn who_takes_back_the_last_value_is_told_nothing() {
        let lists = FilterLists {
            event_types: Some(texts(&["task.*", "ticket.*"])),
            ..FilterLists::default()
        };
        let one = |name: &str| FilterLists {
            event_types: Some(texts(&[name])),
            ..FilterLists::default()
        };
        let event = facts(EventKind::TaskCompleted);
        let tasks = filter(&lists).with_unsubscribed(&one("ticket.*")).unwrap();
        assert!(tasks.is_asked(&event) && !tasks.is_paused());
        let unchanged = tasks.with_unsubscribed(&one("spec.*")).unwrap();
        assert_eq!(unchanged, tasks);
        let nothing = tasks.with_unsubscribed(&one("task.*")).unwrap();
        assert!(!nothing.is_asked(&event) && nothing.is_paused());
        let again = nothing
            .with_subscribed(&one("task.*"), SubscribeMode::Merge)
            .unwrap();
        assert!(again.is_asked(&event));
        let all_back = again.with_unsubscribed(&FilterLists::default()).unwrap();
        assert!(!all_back.is_asked(&event));
        assert!(
            !LiveFilter::default()
                .with_unsubscribed(&FilterLists::default())
                .unwrap()
                .is_asked(&event)
        );
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        let check = |lists: FilterLists, error: FilterError| {
            let none = LiveFilter::default();
            assert_eq!(
                none.with_subscribed(&lists, SubscribeMode::Merge),
                Err(error.clone())
            );
            assert_eq!(none.with_unsubscribed(&lists), Err(error));
        };
        for name in ["task.finished", "", "task*", "none.*", "TASK.*", "task.**"] {
            let lists = FilterLists {
                event_types: Some(texts(&[name])),
                ..FilterLists::default()
            };
            check(lists, FilterError::UnknownEvent(name.to_owned()));
        }
        let lists = FilterLists {
            entity_types: Some(texts(&["person"])),
            ..FilterLists::default()
        };
        check(lists, FilterError::UnknownEntity("person".to_owned()));
        let lists = FilterLists {
            entity_ids: Some(texts(&["SPEC-1"])),
            ..FilterLists::default()
        };
        let value = "SPEC-1".to_owned();
        check(
            lists,
            FilterError::MalformedId {
                list: "entity_ids",
                value,
            },
        );
        let many: Vec<String> = (0..101).map(id).collect();
        let lists = FilterLists {
            project_ids: Some(many),
            ..FilterLists::default()
        };
        check(
            lists,
            FilterError::TooManyValues {
                list: "project_ids",
                n_values: 101,
            },
        );
    }
}
