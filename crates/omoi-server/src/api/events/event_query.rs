//! The filters that everything takes which reads events.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use omoi_domain::live::event_filter::{FilterLists, LiveFilter, SubscribeMode};

use crate::api::ApiSurface;
use crate::api::list::list_scope;
use crate::api::query::{QueryPairs, query_pairs, read_pairs};
use crate::error::ApiError;

/// Which events: of every list that is given, one value must fit.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct EventFilterParams {
    /// Names of events or of groups as `ticket.*`, separated by commas or each with a parameter of its own.
    #[param(value_type = Option<String>, example = "task.*,ticket.*")]
    #[serde(default, alias = "event_type")]
    event_types: Vec<String>,
    /// Kinds of rows, likewise.
    #[param(value_type = Option<String>, example = "task,ticket")]
    #[serde(default, alias = "entity_type")]
    entity_types: Vec<String>,
    /// Ids of rows, likewise: of the entity, the project or any related row.
    #[param(value_type = Option<String>)]
    #[serde(default, alias = "entity_id")]
    entity_ids: Vec<String>,
    /// Ids of projects, likewise.
    #[param(value_type = Option<String>)]
    #[serde(default, alias = "project_id")]
    project_ids: Vec<String>,
}

/// The names of [`EventFilterParams`].
const FILTER_NAMES: [&str; 8] = [
    "event_types",
    "event_type",
    "entity_types",
    "entity_type",
    "entity_ids",
    "entity_id",
    "project_ids",
    "project_id",
];

/// A request for events, with what else it takes.
pub(in crate::api) struct EventQuery<O> {
    pub(super) filter: LiveFilter,
    pub(in crate::api) own: O,
    /// Tells the list, with its filters and order, from every other of an organisation.
    pub(super) scope: Vec<u8>,
}

impl<O: DeserializeOwned> FromRequestParts<ApiSurface> for EventQuery<O> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiSurface) -> Result<Self, ApiError> {
        let pairs = query_pairs(parts);
        let scope = list_scope(parts.uri.path(), &pairs);
        let is_filter = |name: &str| FILTER_NAMES.contains(&name);
        let (filter, own): (QueryPairs, QueryPairs) =
            pairs.into_iter().partition(|(name, _)| is_filter(name));
        let filter: EventFilterParams = read_pairs(filter)?;
        let filter = LiveFilter::default()
            .with_subscribed(&filter.filter_lists(), SubscribeMode::Merge)
            .map_err(|error| ApiError::invalid_value(error.to_string()))?;
        Ok(Self {
            filter,
            own: read_pairs(own)?,
            scope,
        })
    }
}

impl EventFilterParams {
    fn filter_lists(&self) -> FilterLists {
        FilterLists {
            event_types: named_values(&self.event_types),
            entity_types: named_values(&self.entity_types),
            entity_ids: named_values(&self.entity_ids),
            project_ids: named_values(&self.project_ids),
        }
    }
}

/// The values of one list; none where it names none.
fn named_values(texts: &[String]) -> Option<Vec<String>> {
    let values = texts.iter().flat_map(|text| text.split(','));
    let values: Vec<String> = values
        .filter(|value| !value.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    (!values.is_empty()).then_some(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn values_are_separated_by_commas_or_repeated() {
        let check = |texts: &[&str], expected: Option<&[&str]>| {
            let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            let expected: Option<Vec<String>> =
                expected.map(|values| values.iter().map(ToString::to_string).collect());
            assert_eq!(named_values(&texts), expected, "{texts:?}");
        };
        check(&[], None);
        check(&["", ","], None);
        check(&["task.*"], Some(&["task.*"]));
        check(&["task.*,a", "b"], Some(&["task.*", "a", "b"]));
        let named = [
            ("event_type", "x"),
            ("event_type", "y"),
            ("entity_ids", "z"),
        ];
        let pairs = named.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let read: EventFilterParams = read_pairs(pairs.to_vec()).unwrap();
        assert_eq!(read.event_types, ["x", "y"]);
        assert_eq!(read.entity_ids, ["z"]);
    }
}
