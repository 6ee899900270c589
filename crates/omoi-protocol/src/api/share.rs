//! Specs that are shown to whoever has a link.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /public/specs/{spec_id}/share`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "listed": false }))]
#[serde(deny_unknown_fields)]
pub struct ShareSpec {
    /// Whether search engines may show the page.
    #[serde(default)]
    pub listed: bool,
}

/// A link to a spec, told this once. Answer of `POST /public/specs/{spec_id}/share`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedLink {
    /// What whoever has it is shown the spec by.
    pub share_token: String,
    /// Where the spec is shown: a path of this API.
    pub share_url: String,
    /// Whether search engines may show the page.
    pub listed: bool,
}

/// What whoever has the link is shown of a spec. `GET /public/showcase/{share_token}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShowcaseView {
    /// Title shown to people.
    pub title: String,
    /// The person's words, verbatim.
    pub text: String,
    /// Name of the project.
    pub project_name: String,
    /// How many requirements it has.
    pub n_requirements: u64,
    /// How many tickets it has.
    pub n_tickets: u64,
    /// How many tasks it has.
    pub n_tasks: u64,
    /// How many of them are done.
    pub n_tasks_done: u64,
    /// How often it was looked at.
    pub view_count: i64,
}
