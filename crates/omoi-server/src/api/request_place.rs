//! Where a request takes place: the organisation and project of the row that it names.
//!
//! The place comes from the row. A caller of several organisations finds it by looking in each of them; a row of none
//! of them is not there, whether it exists elsewhere or not. Only a request that names no row says its organisation.

use axum::extract::{FromRequestParts as _, RawPathParams};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use omoi_accounts::holder::CredentialHolder;
use omoi_domain::access::decision::{
    AccessDecision, OrganisationReach, RowPlace, decide_access, decide_everywhere, reach_in,
};
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{
    ApprovalId, AttemptId, OperationId, OrgId, ProjectId, SpecId, ThreadId, ThreadMessageId,
};
use omoi_store::{
    StoreError, Tenant, Tx, approvals, attempts, operations, projects, thread_messages, threads,
};

use super::ApiSurface;
use super::caller::expect_allowed;
use super::find::{self, AskedReference};
use super::policy::RoutePolicy;
use crate::error::ApiError;

/// The header by which a request that names no row says its organisation.
pub(super) const ORGANIZATION: &str = "x-organization-id";

/// The parameter of a path that names the organisation itself, whatever else is named beside it.
const ORGANIZATION_PATH: &str = "organization_id";

/// A row that a request names in its path, or in its query.
#[derive(Debug, PartialEq, Eq)]
enum NamedRow {
    /// By id or reference, and the project of the reference where it is given.
    Spec(String, Option<ProjectId>),
    /// As a spec.
    Ticket(String, Option<ProjectId>),
    /// As a spec.
    Task(String, Option<ProjectId>),
    /// By the id of the attempt.
    Agent(AttemptId),
    /// By id.
    Operation(OperationId),
    /// By id.
    Approval(ApprovalId),
    /// By id.
    Thread(ThreadId),
    /// By id.
    ThreadMessage(ThreadMessageId),
    /// By id.
    Project(ProjectId),
}

/// Where the request of `holder` takes place.
///
/// # Errors
/// [`ErrorCode::NotFound`] for a row that the caller does not reach, and as of finding the row; without a row
/// [`ErrorCode::Forbidden`] to a caller of no organisation, [`ErrorCode::ValidationFailed`] to one of several who names
/// none, and [`ErrorCode::InsufficientScope`] to the key of one project.
pub(super) async fn place_of_request(
    parts: &mut Parts,
    holder: &CredentialHolder,
    policy: RoutePolicy,
    surface: &ApiSurface,
) -> Result<RowPlace, ApiError> {
    if let Some(place) = only_place(&parts.headers, holder, policy) {
        return Ok(place);
    }
    let in_path = RawPathParams::from_request_parts(parts, surface).await;
    let in_path: Vec<(&str, &str)> = in_path.iter().flatten().collect();
    let mut organizations = in_path
        .iter()
        .filter(|(name, _)| *name == ORGANIZATION_PATH);
    if let Some((_, id)) = organizations.next() {
        return place_of_organization(id, &holder.reaches);
    }
    let query = parts.uri.query().unwrap_or_default();
    let in_query = form_urlencoded::parse(query.as_bytes());
    let in_query: Vec<_> = in_query.collect();
    let in_query = in_query.iter().map(|(name, value)| (&**name, &**value));
    match NamedRow::of_parameters(in_path.into_iter().chain(in_query)) {
        Some(named) => {
            let found = named.find_place(holder, surface).await;
            found.map_err(|refused| hide_row(refused, holder, policy))
        }
        None => place_without_row(&parts.headers, &holder.reaches, policy),
    }
}

/// The organisation of a caller who may do this with all that their only one has: which row is meant makes no
/// difference, and one that is not there is told by whoever looks for it.
fn only_place(
    headers: &HeaderMap,
    holder: &CredentialHolder,
    policy: RoutePolicy,
) -> Option<RowPlace> {
    let [reach] = &holder.reaches[..] else {
        return None;
    };
    let is_narrowed = reach.key.is_some_and(|key| key.project.is_some());
    if is_narrowed || headers.contains_key(ORGANIZATION) {
        return None;
    }
    let place = place_in(reach.org, None);
    match policy {
        RoutePolicy::Needs(needed) => {
            let decision = decide_access(&holder.reaches, place, needed);
            matches!(decision, AccessDecision::Allowed).then_some(place)
        }
        _ => Some(place),
    }
}

/// The refusal of a row that was not found: whoever may neither do this with any row nor see one is told no more than for
/// one that is there.
fn hide_row(refused: ApiError, holder: &CredentialHolder, policy: RoutePolicy) -> ApiError {
    let RoutePolicy::Needs(needed) = policy else {
        return refused;
    };
    let code = refused.error_code();
    let tells_rows = matches!(code, ErrorCode::NotFound | ErrorCode::UnclearReference);
    let sees_rows = |sight| decide_everywhere(&holder.reaches, sight).is_none();
    if !tells_rows || needed.row_sight().is_some_and(sees_rows) {
        return refused;
    }
    match decide_everywhere(&holder.reaches, needed).map(expect_allowed) {
        Some(Err(lacking)) => lacking,
        _ => refused,
    }
}

const fn place_in(org: OrgId, project: Option<ProjectId>) -> RowPlace {
    RowPlace { org, project }
}

/// The organisation that a request names by its header, or the caller's only one.
fn place_without_row(
    headers: &HeaderMap,
    reaches: &[OrganisationReach],
    policy: RoutePolicy,
) -> Result<RowPlace, ApiError> {
    let (reach, org) = match (headers.get(ORGANIZATION), reaches) {
        (Some(named), _) => {
            let named = named.to_str().unwrap_or_default();
            let org: OrgId = named.parse().map_err(|_| {
                let says = format!("`{ORGANIZATION}` is not an id");
                ApiError::invalid_value(says).with_field(ORGANIZATION)
            })?;
            let reach = reach_in(reaches, org);
            let reach = reach.ok_or_else(|| missing_row("organisation", org.to_string()))?;
            (reach, org)
        }
        (None, [reach]) => (reach, reach.org),
        (None, []) => {
            let says = "this credential belongs to no organisation";
            return Err(ApiError::forbidden_act(says));
        }
        (None, _) => {
            let says =
                "this credential belongs to several organisations, and the request names none";
            let hint = format!("say which by the header `{ORGANIZATION}`");
            return Err(ApiError::invalid_value(says)
                .with_field(ORGANIZATION)
                .hint(hint));
        }
    };
    let is_narrowed = reach.key.is_some_and(|key| key.project.is_some());
    if is_narrowed && matches!(policy, RoutePolicy::Needs(_)) {
        return Err(of_one_project());
    }
    Ok(place_in(org, None))
}

/// The organisation that a path names.
fn place_of_organization(id: &str, reaches: &[OrganisationReach]) -> Result<RowPlace, ApiError> {
    let org: OrgId = id.parse().map_err(|_| {
        ApiError::invalid_value("the path names an organisation by what is no id")
            .with_field(ORGANIZATION_PATH)
    })?;
    let reach = reach_in(reaches, org);
    let reach = reach.ok_or_else(|| missing_row("organisation", org.to_string()))?;
    match reach.key.is_some_and(|key| key.project.is_some()) {
        true => Err(of_one_project()),
        false => Ok(place_in(org, None)),
    }
}

fn of_one_project() -> ApiError {
    let says = "this key is of one project, and the request is about more";
    ApiError::new(ErrorCode::InsufficientScope, says)
        .hint("name a row of the project, or the project by `project_id`")
}

fn missing_row(what: &'static str, key: String) -> ApiError {
    StoreError::NotFound { what, key }.into()
}

impl NamedRow {
    /// The row that parameters name: the most precise of them counts.
    fn of_parameters<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let parameters: Vec<_> = parameters.collect();
        let value_of = |wanted: &str| {
            let mut named = parameters.iter().filter(|(name, _)| *name == wanted);
            named.next().map(|(_, value)| *value)
        };
        let project: Option<ProjectId> = value_of("project_id").and_then(|id| id.parse().ok());
        let task = value_of("task_id").map(|text| Self::Task(text.to_owned(), project));
        let ticket = value_of("ticket_id").or_else(|| value_of("workflow_id"));
        let ticket = || ticket.map(|text| Self::Ticket(text.to_owned(), project));
        let spec = || value_of("spec_id").map(|text| Self::Spec(text.to_owned(), project));
        let approval = value_of("approval_id").and_then(|id| id.parse().ok());
        let approval = approval.map(Self::Approval);
        let agent = value_of("agent_id").or_else(|| value_of("sandbox_id"));
        let agent = agent.and_then(|id| id.parse().ok()).map(Self::Agent);
        let operation = value_of("operation_id").and_then(|id| id.parse().ok());
        let agent = agent.or(operation.map(Self::Operation));
        let thread = value_of("thread_id").and_then(|id| id.parse().ok());
        let message = value_of("message_id").and_then(|id| id.parse().ok());
        let thread = thread
            .map(Self::Thread)
            .or(message.map(Self::ThreadMessage));
        let row = approval.or(thread).or(task).or_else(ticket).or_else(spec);
        let row = row.or(agent);
        row.or_else(|| project.map(Self::Project))
    }

    /// Where the row is, among what the caller reaches.
    async fn find_place(
        &self,
        holder: &CredentialHolder,
        surface: &ApiSurface,
    ) -> Result<RowPlace, ApiError> {
        let mut found = None;
        for reach in &holder.reaches {
            let only = reach.key.and_then(|key| key.project);
            self.expect_project(only)?;
            let tenant = surface.rows_of(reach.org, holder.actor);
            let project = match self.project_in(&tenant).await {
                Ok(project) => project,
                Err(refused) if refused.error_code() == ErrorCode::NotFound => continue,
                Err(refused) => return Err(refused),
            };
            if only.is_some_and(|only| only != project) {
                continue;
            }
            if found.replace(place_in(reach.org, Some(project))).is_some() {
                let says = "several organisations have a row of this reference";
                return Err(ApiError::new(ErrorCode::UnclearReference, says)
                    .hint("name the row by its id, or its project by `project_id`"));
            }
        }
        found.ok_or_else(|| self.missing())
    }

    /// The key of one project is told nothing of the numbers of others.
    fn expect_project(&self, only: Option<ProjectId>) -> Result<(), ApiError> {
        let (Self::Spec(text, None) | Self::Ticket(text, None) | Self::Task(text, None)) = self
        else {
            return Ok(());
        };
        match only.is_none() || text.parse::<SpecId>().is_ok() {
            true => Ok(()),
            false => {
                let says = "this key is of one project: name the row by its id, or the project too";
                Err(ApiError::invalid_value(says).with_field("project_id"))
            }
        }
    }

    /// The project of the row, if it is one of `tenant`.
    async fn project_in(&self, tenant: &Tenant) -> Result<ProjectId, ApiError> {
        let read = tenant.read(async |tx: &mut Tx| self.read_project(tx).await);
        read.await
    }

    async fn read_project(&self, tx: &mut Tx) -> Result<ProjectId, ApiError> {
        match self {
            Self::Spec(text, project) => {
                let asked = AskedReference::of_path(text, *project);
                Ok(find::spec(tx, asked).await?.project_id)
            }
            Self::Ticket(text, project) => {
                let asked = AskedReference::of_path(text, *project);
                Ok(find::find_ticket(tx, asked).await?.project_id)
            }
            Self::Task(text, project) => {
                let asked = AskedReference::of_path(text, *project);
                Ok(find::task(tx, asked).await?.project_id)
            }
            Self::Approval(id) => Ok(approvals::get(tx, *id).await?.project_id),
            Self::Agent(id) => Ok(attempts::get(tx, *id).await?.project_id),
            Self::Operation(id) => Ok(operations::get(tx, *id).await?.project_id),
            Self::Thread(id) => Ok(threads::get(tx, *id).await?.project_id),
            Self::ThreadMessage(id) => {
                let thread = thread_messages::get(tx, *id).await?.thread_id;
                Ok(threads::get(tx, thread).await?.project_id)
            }
            Self::Project(id) => Ok(projects::get(tx, *id).await?.id),
        }
    }

    /// The one answer for a row that is nowhere and for one that the caller does not reach.
    fn missing(&self) -> ApiError {
        let (what, text) = match self {
            Self::Spec(text, _) => ("spec", text.clone()),
            Self::Ticket(text, _) => ("ticket", text.clone()),
            Self::Task(text, _) => ("task", text.clone()),
            Self::Approval(id) => ("approval", id.to_string()),
            Self::Agent(id) => ("attempt", id.to_string()),
            Self::Operation(id) => ("operation", id.to_string()),
            Self::Thread(id) => ("thread", id.to_string()),
            Self::ThreadMessage(id) => ("message", id.to_string()),
            Self::Project(id) => ("project", id.to_string()),
        };
        missing_row(what, text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const PROJECT: &str = "01930000-0000-7000-8000-000000000001";
    const TASK: &str = "01930000-0000-7000-8000-000000000003";

    fn check(parameters: &[(&str, &str)], want: Option<NamedRow>) {
        let named = NamedRow::of_parameters(parameters.iter().copied());
        assert_eq!(named, want, "{parameters:?}");
    }

    #[test]
    fn the_most_precise_parameter_names_the_row() {
        let project: Option<ProjectId> = Some(PROJECT.parse().unwrap());
        let of = ("project_id", PROJECT);
        check(&[], None);
        check(&[("status", "done")], None);
        check(&[of], project.map(NamedRow::Project));
        check(&[("project_id", "nonsense")], None);
        let spec = |project| Some(NamedRow::Spec("SPEC-1".to_owned(), project));
        check(&[("spec_id", "SPEC-1")], spec(None));
        check(&[of, ("spec_id", "SPEC-1")], spec(project));
        // The path comes first: a query of the same name changes nothing.
        check(&[("spec_id", "SPEC-1"), ("spec_id", "SPEC-2")], spec(None));
        let task = || Some(NamedRow::Task(TASK.to_owned(), None));
        check(&[("spec_id", "SPEC-1"), ("task_id", TASK)], task());
        check(&[("ticket_id", "TKT-1"), ("task_id", TASK)], task());
        let ticket = Some(NamedRow::Ticket("TKT-1".to_owned(), project));
        check(&[("spec_id", "SPEC-1"), of, ("ticket_id", "TKT-1")], ticket);
    }
}
