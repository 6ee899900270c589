//! The one HTTP API: what people and programs ask of the process that owns the rows.
//!
//! Each operation is a file below its group: its description, its policy in the signature of its handler, and a few
//! lines that call a command or a reader.

mod account_refusal;
mod admin;
mod agents;
mod approvals;
mod auth;
mod board;
mod body;
mod caller;
mod collaboration;
mod commits;
mod costs;
pub(crate) mod credential;
pub(crate) mod document;
mod earlier_routes;
mod events;
mod files;
mod find;
mod graph;
mod laptop;
mod list;
mod list_cursor;
mod multipart_body;
mod notifications;
mod oauth;
mod operations;
mod organizations;
mod parts;
pub(crate) mod policy;
mod projects;
mod public;
mod query;
mod request_key;
mod request_place;
mod results;
pub(crate) mod router;
mod sandboxes;
mod search;
mod spec_view;
mod specs;
mod system;
mod task_view;
mod tasks;
mod ticket_refusal;
mod ticket_view;
mod tickets;
mod upload_body;
mod uploads;
mod validation;
mod version;

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::State;
use axum::{Json, Router, middleware};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config as SwaggerConfig, SwaggerUi};

use omoi_accounts::context::AccountContext;
use omoi_accounts::providers::SignInProviders;
use omoi_domain::actor::Actor;
use omoi_domain::config::Config;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
use omoi_domain::model_price::PriceRow;
use omoi_git::toolchain::HostEnvironment;
use omoi_planning::repository_reader::RepositoryReader;
use omoi_protocol::api::ProcessStatus;
use omoi_runtime::reconcile::StatusReader;
use omoi_store::Tenant;

use self::caller::{ApiCaller, expect_credential};
use self::router::ApiRouter;
use crate::access_log::{ApiDoor, RequestSurface, with_access_log};
use crate::answer_headers::with_answer_headers;
use crate::cost_texts::with_cost_texts;
use crate::error::ApiError;
use crate::options::ServerMode;
use crate::request_limits::{RequestLimits, with_request_limits};
use crate::site::Site;
use crate::site_checks::{SiteDoor, check_site};

pub(crate) use caller::{Anyone, expect_kind, reader_access};
pub(crate) use credential::{known_holder, load_again, load_holder};
pub use list_cursor::CursorKeys;
pub use organizations::audit_entry_view;
pub use parts::ApiParts;
pub(crate) use system::sorted_text;
pub use upload_body::UploadRoom;

/// Where the operations lie.
const BASE: &str = "/api/v1";

/// What the API stands on, one for each door. Every route and every layer keeps a handle to it, and every connection
/// copies them all: a handle is one count.
#[derive(Clone)]
pub(crate) struct ApiSurface(Arc<SurfaceParts>);

impl Deref for ApiSurface {
    type Target = SurfaceParts;

    fn deref(&self) -> &SurfaceParts {
        &self.0
    }
}

/// What answers are made from, behind any door.
#[derive(Clone)]
pub struct SurfaceParts {
    /// What its answers are made of.
    pub parts: ApiParts,
    /// The machine, for surveys.
    pub host: HostEnvironment,
    /// The configuration of this process.
    pub config: Config,
    /// The token of the data folder, behind doors that it opens.
    pub token: Option<String>,
    /// Who signs in.
    pub accounts: AccountContext,
    /// The providers by which people sign in, too.
    pub providers: SignInProviders,
    /// Whether mails go out.
    pub sends_mail: bool,
    /// What cursors of lists are signed with.
    pub cursor_keys: CursorKeys,
    /// Prices that a person set for models; the others are those of the list that comes with the program.
    pub own_prices: Vec<PriceRow>,
    /// How browsers know this server.
    pub site: Site,
    /// How many requests a caller may send.
    pub limits: RequestLimits,
    /// What of `GET /admin/status` stays the same.
    pub status: ProcessStatus,
    /// The reconcilers of this process.
    pub reconcilers: Vec<StatusReader>,
}

impl ApiSurface {
    /// Reads repositories on the disk of this process for `caller`.
    ///
    /// # Errors
    /// As [`ApiCaller::expect_folder_owner`]; [`ErrorCode::ServerPathRefused`] where a team is served.
    fn repositories(&self, caller: &ApiCaller) -> Result<RepositoryReader<'_>, ApiError> {
        caller.expect_folder_owner()?;
        if self.site.server_mode() == ServerMode::Team {
            let says = "a server of a team takes no paths of its own disk";
            return Err(ApiError::new(ErrorCode::ServerPathRefused, says)
                .hint("name a repository by its address, or send its commits"));
        }
        Ok(self.uploaded_repositories())
    }

    /// Reads what people sent of repositories elsewhere, which are named by their projects alone.
    fn uploaded_repositories(&self) -> RepositoryReader<'_> {
        RepositoryReader {
            access: &self.parts.repositories,
            host: &self.host,
            config: &self.config,
        }
    }

    /// Refuses what a mail answers where none goes out.
    ///
    /// # Errors
    /// [`ErrorCode::MailNotConfigured`].
    fn expect_mail_server(&self) -> Result<(), ApiError> {
        match self.sends_mail {
            true => Ok(()),
            false => {
                let says = "no mail server is set up here, so no mail can answer this";
                Err(ApiError::new(ErrorCode::MailNotConfigured, says)
                    .hint("whoever runs the platform hands the link over: `omoi admin link`, `omoi admin invite`"))
            }
        }
    }

    /// The rows of an organisation, changed in the name of `actor`.
    pub(crate) fn rows_of(&self, org: OrgId, actor: Actor) -> Tenant {
        self.parts.store.store().tenant(org).acting_as(actor)
    }
}

/// Every operation of the API.
fn all_operations() -> ApiRouter<ApiSurface> {
    operations_behind(ApiDoor::Folder)
}

/// The operations behind `door`: what goes by paths of this machine is nothing for others.
fn operations_behind(door: ApiDoor) -> ApiRouter<ApiSurface> {
    let mut below_base = ApiRouter::new()
        .merge(specs::group_operations())
        .merge(public::group_operations())
        .merge(tasks::group_operations())
        .merge(projects::group_operations())
        .merge(uploads::group_operations())
        .merge(tickets::group_operations())
        .merge(files::group_operations())
        .merge(board::group_operations())
        .merge(search::group_operations())
        .merge(approvals::group_operations())
        .merge(notifications::group_operations())
        .merge(collaboration::group_operations())
        .merge(results::group_operations())
        .merge(laptop::reference_operations())
        .merge(operations::group_operations())
        .merge(agents::group_operations())
        .merge(commits::group_operations())
        .merge(graph::group_operations())
        .merge(validation::group_operations())
        .merge(sandboxes::group_operations())
        .merge(admin::group_operations())
        .merge(events::group_operations())
        .merge(costs::group_operations())
        .merge(auth::group_operations())
        .merge(organizations::group_operations())
        .merge(oauth::group_operations());
    if door.shares_disk() {
        below_base = below_base.merge(laptop::path_operations());
    }
    system::group_operations().merge(below_base.nested_below(BASE))
}

/// What describes the API: OpenAPI 3.1, with the operations that a process answers in every role.
pub fn describe_openapi() -> OpenApi {
    let mut described = all_operations().into_description();
    described.merge(crate::probes::all_operations().into_description());
    described
}

/// The description as it is served and committed.
pub fn openapi_text() -> String {
    system::sorted_text(&describe_openapi())
}

/// The routes of the API behind `door`.
pub fn router(mut surface: SurfaceParts, door: ApiDoor) -> Router {
    // What stands before a team's server may be on the same machine: requests from everywhere come by loopback then.
    let is_teams = surface.site.server_mode() == ServerMode::Team;
    if door == ApiDoor::Network || (is_teams && door != ApiDoor::Folder) {
        surface.token = None;
    }
    let ids = surface.parts.request_ids.clone();
    let site = SiteDoor {
        site: surface.site.clone(),
        door,
    };
    let surface = ApiSurface(Arc::new(surface));
    let operations = operations_behind(door).into_routes();
    let config = SwaggerConfig::new(["/openapi.json"]).validator_url("none");
    let pages: Router<ApiSurface> = SwaggerUi::new("/docs").config(config).into();
    let pages = pages
        .layer(middleware::from_fn(system::with_page_policy))
        .layer(middleware::from_fn_with_state(
            surface.clone(),
            expect_credential,
        ));
    let router = operations
        .layer(middleware::from_fn_with_state(
            surface.clone(),
            request_key::with_request_key,
        ))
        .layer(middleware::from_fn(with_cost_texts))
        .layer(middleware::from_fn_with_state(
            surface.clone(),
            with_request_limits,
        ))
        .merge(pages)
        .merge(crate::pages::page_routes())
        .fallback(system::refuse_unknown_path)
        .method_not_allowed_fallback(system::refuse_method)
        .with_state(surface)
        .layer(middleware::from_fn_with_state(site, check_site))
        .layer(middleware::map_response(with_answer_headers));
    with_access_log(router, RequestSurface::Api(door), ids)
}

type Surface = State<ApiSurface>;
type Answer<T> = Result<Json<T>, ApiError>;
