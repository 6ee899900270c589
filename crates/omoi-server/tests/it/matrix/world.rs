//! The rows of one organisation that operations are asked for, by the names that paths and bodies have for them.
//!
//! This is the one place that knows them: a new kind of row gets its line in [`MatrixWorld::lay_out`], and what single
//! operations need beside it stands in `scenes`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use omoi_accounts::commands::register::{NewUser, add_user};
use omoi_accounts::providers::SignInProviders;
use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::access::role::SystemRole::{Member, Owner, Viewer};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, RoleId, UserId};
use omoi_domain::operation::OperationKind;
use omoi_domain::phase::Phase;
use omoi_domain::ticket::ApprovalStatus;
use omoi_execution::commands::begin_operation;
use omoi_integrations::oauth::SignInProvider;
use omoi_integrations::oauth::fake::FakeProvider;
use omoi_server::ApiDoor;
use omoi_server::probes::{self, ProbeSurface};
use omoi_store::{Json, Tx, approvals, deployment, roles, tasks, tickets};
use omoi_testkit::plans::todo_tags;
use omoi_testkit::repo::TestRepo;
use serde_json::{Value, json};

use crate::api::{TOKEN, router_of_providers, site_behind};
use crate::plan_edits::add_planned;
use crate::sign_in_desk::{PASSWORD, SignInDesk, UNKNOWN};

/// Who owns the organisation of the world.
pub(super) const OWNER: &str = "ada@example.org";
/// A member of it.
pub(super) const MEMBER: &str = "max@example.org";
/// An account that belongs to no organisation.
pub(super) const GUEST: &str = "mia@example.org";
/// Staff of the platform, who may look at the organisation.
pub(super) const STAFF: &str = "staff@example.org";

/// Rows of the laptop's organisation, by what operations call them.
pub(crate) struct MatrixWorld {
    ids: BTreeMap<&'static str, String>,
    /// The owner of the organisation.
    pub(super) owner: UserId,
    /// The provider that people sign in at.
    pub(super) github: Arc<FakeProvider>,
    /// A repository on this machine.
    pub(super) repo: TestRepo,
    routers: Vec<(ApiDoor, Router)>,
    probes: Router,
}

impl MatrixWorld {
    /// Makes a row of each kind.
    pub(crate) async fn lay_out(desk: &mut SignInDesk) -> Self {
        let owner = desk.add_user(OWNER, &[(OrgId::LOCAL, Owner)]).await;
        let github = Arc::new(FakeProvider::default());
        let mut world = Self {
            ids: BTreeMap::new(),
            owner,
            routers: routers(desk, &github),
            github,
            repo: TestRepo::with_files(&[
                ("a.txt", "a\n"),
                (".omoi.yaml", "agent: {max_turns: 3}\n"),
            ]),
            probes: probe_router(desk),
        };
        desk.router = world.router_behind(ApiDoor::Network);
        world.name_row("repo_path", world.repo.path().display().to_string());
        world.add_people(desk).await;
        world.add_plan(desk).await;
        world.add_tasks(desk).await;
        let builder = WorldBuilder {
            token: desk.sign_in(OWNER, PASSWORD).await.access_token,
            desk,
            world: &mut world,
        };
        builder.add_rows().await;
        world
    }

    fn name_row(&mut self, name: &'static str, id: impl ToString) {
        self.ids.insert(name, id.to_string());
    }

    async fn add_people(&mut self, desk: &SignInDesk) {
        let member = desk.add_user(MEMBER, &[(OrgId::LOCAL, Member)]).await;
        let guest = desk.add_user(GUEST, &[]).await;
        let staff = NewUser {
            email: STAFF.parse().unwrap(),
            name: None,
            is_staff: true,
        };
        add_user(&desk.accounts, staff, PASSWORD.into())
            .await
            .unwrap();
        let session = desk.sign_in(OWNER, PASSWORD).await.session_id;
        self.name_row("organization_id", OrgId::LOCAL);
        self.name_row("member_user", member);
        self.name_row("user_id", guest);
        self.name_row("session_id", session);
    }

    /// A spec at work, and one whose plan may be edited.
    async fn add_plan(&mut self, desk: &SignInDesk) {
        let plan = todo_tags();
        let path = add_planned(&desk.test, &plan, Phase::Design).await;
        let planned = path.rsplit('/').next().unwrap();
        self.name_row("planned_spec", planned);
        self.name_row("spec_id", desk.test.spec.id);
        self.name_row("project_id", desk.test.spec.project_id);
        self.name_row("other", 2);
        self.name_row("number", 1);
    }

    /// Tasks that wait, of which one has commits, and one that is worked on.
    async fn add_tasks(&mut self, desk: &SignInDesk) {
        let test = &desk.test;
        let task = test.add_task(1, &[]).await;
        let later = test.add_task(2, &[task.id]).await;
        let other = test.add_task(3, &[]).await;
        let running = test.add_task(4, &[]).await;
        let head = test.commit_work("src/tags.py").await;
        let moved = test.commit(async |tx| {
            let mut task = tasks::get(tx, later.id).await?;
            task.base_sha = Some(test.base.to_string());
            task.head_sha = Some(head.to_string());
            tasks::save(tx, &mut task).await
        });
        moved.await.unwrap();
        let attempt = test.run_task(running.id).await.attempt;
        test.leaves_open_attempts();
        self.name_row("task_id", later.id);
        self.name_row("depends_on_task_id", task.id);
        self.name_row("depends_on", other.id);
        self.name_row("running_task", running.id);
        self.name_row("commit_sha", head);
        self.name_row("agent_id", attempt.id);
        self.name_row("sandbox_id", attempt.id);
    }

    /// The id of the row that operations call `name`; one of no row where the world has none.
    pub(crate) fn row_id(&self, name: &str) -> &str {
        self.find_row(name).unwrap_or(UNKNOWN)
    }

    /// The id of the row that operations call `name`.
    pub(crate) fn find_row(&self, name: &str) -> Option<&str> {
        self.ids.get(name).map(String::as_str)
    }

    /// A row of the world that an answer tells of.
    pub(crate) fn told_row(&self, told: &Value) -> Option<&str> {
        let text = told.to_string();
        let mut ids = self.ids.values().filter(|id| super::asked::is_id(id));
        let found = ids.find(|id| text.contains(id.as_str()));
        found.map(String::as_str)
    }

    /// The routes behind `door`.
    pub(super) fn router_behind(&self, door: ApiDoor) -> Router {
        let mut routers = self.routers.iter();
        let found = routers.find(|(of, _)| *of == door);
        found.unwrap().1.clone()
    }

    /// What answers `path`: probes are routes of their own.
    pub(super) fn router_of(&self, path: &str, door: ApiDoor) -> Router {
        match path == "/" || path.starts_with("/health") {
            true => self.probes.clone(),
            false => self.router_behind(door),
        }
    }

    /// Gives `role` every permission but `needed`.
    pub(super) async fn set_role(&self, desk: &SignInDesk, role: RoleId, needed: Permission) {
        let others = Permission::ALL.iter().filter(|one| **one != needed);
        let others = others
            .map(|one| one.as_str().parse().unwrap())
            .collect::<Vec<PermissionPattern>>();
        let change = async |tx: &mut Tx| {
            let mut row = roles::get(tx, role).await?;
            row.permissions = Json(others.clone());
            roles::save(tx, &mut row).await
        };
        desk.test.commit(change).await.unwrap();
    }
}

/// The API behind each door.
fn routers(desk: &SignInDesk, github: &Arc<FakeProvider>) -> Vec<(ApiDoor, Router)> {
    let provider = Arc::clone(github) as Arc<dyn SignInProvider>;
    let by_name = BTreeMap::from([(IdentityProvider::GitHub, provider)]);
    let home = vec!["https://omoi.example.org".to_owned()];
    let providers = SignInProviders::new(by_name, home);
    let doors = [ApiDoor::Network, ApiDoor::Loopback, ApiDoor::Folder];
    let routers = doors.map(|door| {
        let accounts = desk.accounts.clone();
        let router = router_of_providers(&desk.test, accounts, providers.clone(), door);
        (door, router)
    });
    routers.into()
}

fn probe_router(desk: &SignInDesk) -> Router {
    let parts = &desk.test.deployment;
    let probes = ProbeSurface {
        store: parts.store.clone(),
        running: parts.running.clone(),
        reconcilers: Vec::new(),
        token: TOKEN.to_owned(),
        request_ids: desk.test.build_part(),
        site: site_behind(ApiDoor::Network),
    };
    probes::router(probes, ApiDoor::Network)
}

/// Makes rows through the API, as the owner.
struct WorldBuilder<'a> {
    desk: &'a SignInDesk,
    world: &'a mut MatrixWorld,
    token: String,
}

impl WorldBuilder<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let asked = self.desk.ask((method, path), Some(&self.token), body).await;
        let (status, told) = asked;
        assert!((200..300).contains(&status), "{path}: {status} {told}");
        told
    }

    /// Makes a row, and names it.
    async fn make(&mut self, name: &'static str, path: &str, body: Value) -> String {
        let told = self.ask(Method::POST, path, Some(body)).await;
        let row = told.get("api_key").unwrap_or(&told);
        let id = row["id"].as_str().unwrap().to_owned();
        self.world.name_row(name, &id);
        id
    }

    async fn add_rows(mut self) {
        self.add_tickets().await;
        self.add_organisation_rows().await;
        self.add_project_rows().await;
        let event = self.ask(Method::GET, "/events?limit=1", None).await;
        let event = event["items"][0]["event_id"].as_str().unwrap();
        self.world.name_row("event_id", event);
        let listed = self.ask(Method::GET, "/notifications", None).await;
        let told = listed["items"][0]["id"].as_str().unwrap();
        self.world.name_row("ids", told);
    }

    /// A ticket with a comment and a file, one beside it, and one that waits for a yes.
    async fn add_tickets(&mut self) {
        let project = self.world.row_id("project_id").to_owned();
        let new = |title: &str| json!({ "title": title, "project_id": project });
        self.make("dependency_id", "/tickets", new("Read todos"))
            .await;
        let ticket = self
            .make("ticket_id", "/tickets", new("Import todos"))
            .await;
        let asked = self
            .make("asked_ticket", "/tickets", new("Sort todos"))
            .await;
        let comments = format!("/tickets/{ticket}/comments");
        let content = json!({ "content": format!("@{} has seen it.", self.world.owner) });
        self.make("comment_id", &comments, content).await;
        self.world.name_row("workflow_id", &ticket);
        self.add_thread().await;
        let asked = asked.parse().unwrap();
        let approval = self.desk.test.commit(async |tx| {
            let mut ticket = tickets::get(tx, asked).await?;
            let pending = ApprovalStatus::PendingReview;
            tickets::set_approval(tx, &mut ticket, pending, None).await?;
            // Longer than all operations take together.
            let deadline = tx.now() + std::time::Duration::from_hours(48);
            approvals::ask_about_ticket(tx, &ticket, deadline).await
        });
        self.world
            .name_row("approval_id", approval.await.unwrap().id);
        let file = self.upload_file(&ticket).await;
        self.world.name_row("file_id", file);
    }

    /// A thread of two agents, in which something was said.
    async fn add_thread(&mut self) {
        let agents = [
            self.world.row_id("task_id"),
            self.world.row_id("depends_on_task_id"),
        ];
        let thread = json!({ "thread_type": "review", "agents": agents });
        let thread = self
            .make("thread_id", "/collaboration/threads", thread)
            .await;
        let message = json!({ "thread_id": thread, "message_type": "info", "content": "Look." });
        self.make("message_id", "/collaboration/messages", message)
            .await;
    }

    async fn upload_file(&self, ticket: &str) -> String {
        let request = axum::http::Request::post(format!("/api/v1/tickets/{ticket}/files"))
            .header("content-type", "multipart/form-data; boundary=x")
            .header("authorization", format!("Bearer {}", self.token));
        let form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.txt\"\r\n\r\nb\r\n--x--\r\n";
        let (status, told) = self.desk.send(request.body(form.into()).unwrap()).await;
        assert_eq!(status, 201, "{told}");
        told["id"].as_str().unwrap().to_owned()
    }

    /// The deployment asks one provider with a key, for which an organisation may bring its own.
    async fn add_provider(&mut self) {
        let provider = "anthropic";
        let names = [provider.to_owned()];
        let keep = async |tx: &mut Tx| deployment::keep_key_providers(tx, &names).await;
        let system = self.desk.accounts.store.system();
        let kept = system.write(CrashPoint::DeploymentTaken, keep);
        kept.await.unwrap();
        self.world.name_row("provider_name", provider);
    }

    async fn add_organisation_rows(&mut self) {
        self.add_provider().await;
        let at = |part: &str| format!("/organizations/{}/{part}", OrgId::LOCAL);
        let role = json!({ "name": "Readers", "permissions": ["spec:read"] });
        self.make("role_id", &at("roles"), role).await;
        let new = json!({ "name": "build", "scopes": ["spec:read"], "role_id": Viewer.role_id() });
        self.make("key_id", &at("api-keys"), new).await;
        let invited = json!({ "email": "zoe@example.org", "role_id": Viewer.role_id() });
        self.make("invitation_id", &at("invitations"), invited)
            .await;
        let members = self.ask(Method::GET, &at("members"), None).await;
        let user = json!(self.world.row_id("member_user"));
        let mut items = members["items"].as_array().unwrap().iter();
        let member = items.find(|one| one["user_id"] == user || one["user"]["id"] == user);
        let member = member.unwrap_or_else(|| panic!("{members}"));
        self.world
            .name_row("member_id", member["id"].as_str().unwrap());
    }

    /// A budget, a change of a plan, and an operation.
    async fn add_project_rows(&mut self) {
        let project = desk_project(self.desk);
        let budget = json!({ "scope_type": "project", "scope_id": project, "limit": "5.00" });
        self.make("budget_id", "/costs/budgets", budget).await;
        let plan = format!("/specs/{}", self.world.row_id("planned_spec"));
        let phases = self
            .ask(Method::GET, &format!("{plan}/phase-data"), None)
            .await;
        let mut runs = phases["items"].as_array().unwrap().iter();
        let run = runs.find(|run| run["phase"] == "requirements").unwrap();
        let requirement = run["output"]["requirements"][0]["id"].as_str().unwrap();
        self.world.name_row("req_id", requirement);
        self.world.name_row("criterion_id", 1);
        let text = json!({ "text": "`todo list` prints a label beside each todo." });
        let path = format!("{plan}/requirements/{requirement}/criteria");
        self.ask(Method::POST, &path, Some(text)).await;
        let rows = self
            .desk
            .test
            .build_part::<omoi_server::api::ApiParts>()
            .store;
        let kind = OperationKind::SetUpRepository;
        let begun = begin_operation(&rows, project, kind).await.unwrap();
        self.world.name_row("operation_id", begun.id);
    }
}

fn desk_project(desk: &SignInDesk) -> omoi_domain::id::ProjectId {
    desk.test.spec.project_id
}
