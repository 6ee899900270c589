//! The schema: one text for both databases, in which types are words that each fills in.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::Backend;

/// A migration as it is written.
struct MigrationText {
    version: i64,
    name: &'static str,
    text: &'static str,
}

/// Before this one, names of projects get the keys that the program compares names by: [`super::name_keys`].
pub(super) const PROJECT_NAME_KEYS: i64 = 46;

/// Every migration in order.
const MIGRATIONS: &[MigrationText] = &[
    MigrationText {
        version: 1,
        name: "init",
        text: include_str!("../../migrations/0001_init.sql"),
    },
    MigrationText {
        version: 2,
        name: "actors",
        text: include_str!("../../migrations/0002_actors.sql"),
    },
    MigrationText {
        version: 3,
        name: "tenant_edges",
        text: include_str!("../../migrations/0003_tenant_edges.sql"),
    },
    MigrationText {
        version: 4,
        name: "attempt_tokens",
        text: include_str!("../../migrations/0004_attempt_tokens.sql"),
    },
    MigrationText {
        version: 5,
        name: "row_security",
        text: include_str!("../../migrations/0005_row_security.sql"),
    },
    MigrationText {
        version: 6,
        name: "organisations",
        text: include_str!("../../migrations/0006_organisations.sql"),
    },
    MigrationText {
        version: 7,
        name: "projects",
        text: include_str!("../../migrations/0007_projects.sql"),
    },
    MigrationText {
        version: 8,
        name: "accounts",
        text: include_str!("../../migrations/0008_accounts.sql"),
    },
    MigrationText {
        version: 9,
        name: "members",
        text: include_str!("../../migrations/0009_members.sql"),
    },
    MigrationText {
        version: 10,
        name: "keys",
        text: include_str!("../../migrations/0010_keys.sql"),
    },
    MigrationText {
        version: 11,
        name: "account_guards",
        text: include_str!("../../migrations/0011_account_guards.sql"),
    },
    MigrationText {
        version: 12,
        name: "list_indexes",
        text: include_str!("../../migrations/0012_list_indexes.sql"),
    },
    MigrationText {
        version: 13,
        name: "month_budgets",
        text: include_str!("../../migrations/0013_month_budgets.sql"),
    },
    MigrationText {
        version: 14,
        name: "audit",
        text: include_str!("../../migrations/0014_audit.sql"),
    },
    MigrationText {
        version: 15,
        name: "request_keys",
        text: include_str!("../../migrations/0015_request_keys.sql"),
    },
    MigrationText {
        version: 16,
        name: "operations",
        text: include_str!("../../migrations/0016_operations.sql"),
    },
    MigrationText {
        version: 17,
        name: "spec_versions",
        text: include_str!("../../migrations/0017_spec_versions.sql"),
    },
    MigrationText {
        version: 18,
        name: "agent_work",
        text: include_str!("../../migrations/0018_agent_work.sql"),
    },
    MigrationText {
        version: 19,
        name: "spec_shares",
        text: include_str!("../../migrations/0019_spec_shares.sql"),
    },
    MigrationText {
        version: 20,
        name: "event_rows",
        text: include_str!("../../migrations/0020_event_rows.sql"),
    },
    MigrationText {
        version: 21,
        name: "spec_times",
        text: include_str!("../../migrations/0021_spec_times.sql"),
    },
    MigrationText {
        version: 22,
        name: "ticket_phases",
        text: include_str!("../../migrations/0022_ticket_phases.sql"),
    },
    MigrationText {
        version: 23,
        name: "tickets",
        text: include_str!("../../migrations/0023_tickets.sql"),
    },
    MigrationText {
        version: 24,
        name: "board_positions",
        text: include_str!("../../migrations/0024_board_positions.sql"),
    },
    MigrationText {
        version: 25,
        name: "comments",
        text: include_str!("../../migrations/0025_comments.sql"),
    },
    MigrationText {
        version: 26,
        name: "approvals",
        text: include_str!("../../migrations/0026_approvals.sql"),
    },
    MigrationText {
        version: 27,
        name: "direct_specs",
        text: include_str!("../../migrations/0027_direct_specs.sql"),
    },
    MigrationText {
        version: 28,
        name: "spec_approvals",
        text: include_str!("../../migrations/0028_spec_approvals.sql"),
    },
    MigrationText {
        version: 29,
        name: "organisation_acts",
        text: include_str!("../../migrations/0029_organisation_acts.sql"),
    },
    MigrationText {
        version: 30,
        name: "search",
        text: include_str!("../../migrations/0030_search.sql"),
    },
    MigrationText {
        version: 31,
        name: "identities",
        text: include_str!("../../migrations/0031_identities.sql"),
    },
    MigrationText {
        version: 32,
        name: "provider_flows",
        text: include_str!("../../migrations/0032_provider_flows.sql"),
    },
    MigrationText {
        version: 33,
        name: "mail_intents",
        text: include_str!("../../migrations/0033_mail_intents.sql"),
    },
    MigrationText {
        version: 34,
        name: "account_profiles",
        text: include_str!("../../migrations/0034_account_profiles.sql"),
    },
    MigrationText {
        version: 35,
        name: "browser_sign_in",
        text: include_str!("../../migrations/0035_browser_sign_in.sql"),
    },
    MigrationText {
        version: 36,
        name: "threads",
        text: include_str!("../../migrations/0036_threads.sql"),
    },
    MigrationText {
        version: 37,
        name: "results",
        text: include_str!("../../migrations/0037_results.sql"),
    },
    MigrationText {
        version: 39,
        name: "spec_ticket_links",
        text: include_str!("../../migrations/0039_spec_ticket_links.sql"),
    },
    MigrationText {
        version: 40,
        name: "phase_gates",
        text: include_str!("../../migrations/0040_phase_gates.sql"),
    },
    MigrationText {
        version: 41,
        name: "notifications",
        text: include_str!("../../migrations/0041_notifications.sql"),
    },
    MigrationText {
        version: 42,
        name: "stored_files",
        text: include_str!("../../migrations/0042_stored_files.sql"),
    },
    MigrationText {
        version: 43,
        name: "ticket_contexts",
        text: include_str!("../../migrations/0043_ticket_contexts.sql"),
    },
    MigrationText {
        version: 44,
        name: "questions",
        text: include_str!("../../migrations/0044_questions.sql"),
    },
    MigrationText {
        version: 45,
        name: "mail_limits",
        text: include_str!("../../migrations/0045_mail_limits.sql"),
    },
    MigrationText {
        version: PROJECT_NAME_KEYS,
        name: "kept_names_and_acts",
        text: include_str!("../../migrations/0046_kept_names_and_acts.sql"),
    },
    MigrationText {
        version: 47,
        name: "gate_receipts",
        text: include_str!("../../migrations/0047_gate_receipts.sql"),
    },
    MigrationText {
        version: 48,
        name: "deploy_checks",
        text: include_str!("../../migrations/0048_deploy_checks.sql"),
    },
    MigrationText {
        version: 49,
        name: "stalled_tickets",
        text: include_str!("../../migrations/0049_stalled_tickets.sql"),
    },
    MigrationText {
        version: 50,
        name: "merge_conflicts",
        text: include_str!("../../migrations/0050_merge_conflicts.sql"),
    },
    MigrationText {
        version: 51,
        name: "provider_keys",
        text: include_str!("../../migrations/0051_provider_keys.sql"),
    },
    MigrationText {
        version: 53,
        name: "reference_indexes",
        text: include_str!("../../migrations/0053_reference_indexes.sql"),
    },
    MigrationText {
        version: 54,
        name: "search_references",
        text: include_str!("../../migrations/0054_search_references.sql"),
    },
];

/// Begins the lines that one backend alone runs, or both again: `--@ sqlite`, `--@ postgres`, `--@ both`.
const SECTION: &str = "--@ ";

/// A line `@word TABLE`, and what it makes of the table.
struct TableWord {
    word: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// Who may do what with a table. `TABLE` stands for its name.
const TABLE_WORDS: &[TableWord] = &[
    // Rows of organisations: a transaction sees and writes those of the one it was begun for. Whoever owns the table
    // brings schemas up to date, and is nobody who serves.
    TableWord {
        word: "@tenant ",
        sqlite: "",
        postgres: "alter table TABLE enable row level security;
alter table TABLE force row level security;
create policy tenant on TABLE to omoi_app
    using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid))
    with check (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid));
create policy migrations on TABLE to current_user using (true) with check (true);
grant select, insert, update, delete on TABLE to omoi_app;
",
    },
    // The same, and rows of the platform itself under the nil id, for transactions of no organisation.
    TableWord {
        word: "@tenant_or_platform ",
        sqlite: "",
        postgres: "alter table TABLE enable row level security;
alter table TABLE force row level security;
create policy tenant on TABLE to omoi_app
    using (org_id = (select coalesce(nullif(current_setting('app.org_id', true), '')::uuid,
        '00000000-0000-0000-0000-000000000000'::uuid)))
    with check (org_id = (select coalesce(nullif(current_setting('app.org_id', true), '')::uuid,
        '00000000-0000-0000-0000-000000000000'::uuid)));
create policy migrations on TABLE to current_user using (true) with check (true);
grant select, insert, update, delete on TABLE to omoi_app;
",
    },
    // Rows that stay as they were written.
    TableWord {
        word: "@append_only ",
        sqlite: "create trigger TABLE_is_never_updated before update on TABLE
begin select raise(abort, 'rows of TABLE are never changed'); end;
create trigger TABLE_is_never_deleted before delete on TABLE
begin select raise(abort, 'rows of TABLE are never removed'); end;
",
        postgres: "revoke update, delete on TABLE from omoi_app;
",
    },
    // Rows that are looked up before an organisation is known.
    TableWord {
        word: "@global ",
        sqlite: "",
        postgres: "grant select, insert, update, delete on TABLE to omoi_app;
",
    },
];

/// A word for a type.
struct TypeWord {
    word: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// Types that both databases call the same, such as `text` and `bigint`, need no word.
const TYPE_WORDS: &[TypeWord] = &[
    TypeWord {
        word: "@uuid",
        sqlite: "text",
        postgres: "uuid",
    },
    TypeWord {
        word: "@bool",
        sqlite: "bigint",
        postgres: "boolean",
    },
    TypeWord {
        word: "@time",
        sqlite: "bigint",
        postgres: "timestamptz",
    },
    // Numbers that the database gives rows; an index of words knows them by it.
    TypeWord {
        word: "@number",
        sqlite: "integer",
        postgres: "bigint generated always as identity",
    },
    TypeWord {
        word: "@bytes",
        sqlite: "blob",
        postgres: "bytea",
    },
    // A value of our own types: the order of its keys says nothing.
    TypeWord {
        word: "@json",
        sqlite: "text",
        postgres: "jsonb",
    },
    // A value of others, digested or sent again as it came: the order of its keys stays.
    TypeWord {
        word: "@document",
        sqlite: "text",
        postgres: "json",
    },
];

static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrations_of(Backend::Sqlite));
static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrations_of(Backend::Postgres));

/// The migrations of a backend. Their checksums are those of the text it runs.
pub(crate) fn migrator(backend: Backend) -> &'static Migrator {
    match backend {
        Backend::Sqlite => &SQLITE,
        Backend::Postgres => &POSTGRES,
    }
}

/// A number for the schema that the migrations make: builds with the same migrations give the same one.
pub fn schema_digest() -> u64 {
    let mut hasher = DefaultHasher::new();
    for migration in SQLITE.iter().chain(POSTGRES.iter()) {
        migration.checksum.hash(&mut hasher);
    }
    hasher.finish()
}

fn migrations_of(backend: Backend) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|migration| {
        Migration::new(
            migration.version,
            migration.name.into(),
            MigrationType::Simple,
            AssertSqlSafe(rendered(migration.text, backend)).into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

/// What `backend` runs of a text.
fn rendered(text: &str, backend: Backend) -> String {
    let mut is_run = true;
    let lines = text.split_inclusive('\n').filter(|line| {
        let section = line.strip_prefix(SECTION).map(str::trim_end);
        if let Some(section) = section {
            is_run = section == "both" || section == backend.as_str();
        }
        is_run && section.is_none()
    });
    let lines = lines.map(|line| with_rights(line, backend).unwrap_or_else(|| line.to_owned()));
    let mut rendered: String = lines.collect();
    for word in TYPE_WORDS {
        let filled_in = match backend {
            Backend::Sqlite => word.sqlite,
            Backend::Postgres => word.postgres,
        };
        rendered = rendered.replace(word.word, filled_in);
    }
    rendered
}

/// What a line that gives rights to a table means.
fn with_rights(line: &str, backend: Backend) -> Option<String> {
    let mut words = TABLE_WORDS.iter();
    let (word, table) = words.find_map(|word| Some((word, line.strip_prefix(word.word)?)))?;
    let text = match backend {
        Backend::Sqlite => word.sqlite,
        Backend::Postgres => word.postgres,
    };
    Some(text.replace("TABLE", table.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deployed databases hold these: a text that was released is never changed again, and what it made is changed by
    /// another one.
    const RELEASED: &[(i64, Backend, &str)] = &[
        (
            1,
            Backend::Sqlite,
            "5191f1f5a8c59619bfc0a3c5f371a744c51ee93eb032cf7f6a3e49d0dd2ad77a76a20b062fd0b33890037e28b9d83349",
        ),
        (
            1,
            Backend::Postgres,
            "85aaadea1fee7896b0f52014321f9af6d3a4151d67fcf432aebcd928667ea1678e2e7d11a400ffd3d3408c2d3e2cf3fc",
        ),
    ];

    #[test]
    fn released_migrations_stay_as_they_are() {
        for (version, backend, checksum) in RELEASED {
            let migration = migrator(*backend).iter().find(|m| m.version == *version);
            let found = migration.map(|m| hex::encode(&m.checksum));
            assert_eq!(found.as_deref(), Some(*checksum), "{version} {backend:?}");
        }
    }

    #[test]
    fn versions_rise() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|m| m.version).collect();
        assert!(
            versions.is_sorted_by(|one, next| one < next),
            "{versions:?}"
        );
    }

    #[test]
    fn rights_are_for_a_server() {
        let text = "@tenant tasks\n@global users\nselect 1;\n";
        assert_eq!(rendered(text, Backend::Sqlite), "select 1;\n");
        let sql = rendered(text, Backend::Postgres);
        assert!(
            sql.contains("alter table tasks force row level security;"),
            "{sql}"
        );
        assert!(
            sql.contains("create policy tenant on tasks to omoi_app"),
            "{sql}"
        );
        assert!(sql.ends_with("on users to omoi_app;\nselect 1;\n"), "{sql}");
    }

    #[test]
    fn rows_that_stay_are_guarded_by_either_database() {
        let text = "@append_only acts\n";
        let sql = rendered(text, Backend::Sqlite);
        for guarded in ["before update on acts", "before delete on acts"] {
            assert!(sql.contains(guarded), "{sql}");
        }
        let sql = rendered(text, Backend::Postgres);
        assert_eq!(sql, "revoke update, delete on acts from omoi_app;\n");
    }

    #[test]
    fn each_backend_runs_its_own_lines() {
        let text = "one;\n--@ sqlite\ntwo;\n--@ postgres\nthree;\n--@ both\nfour;\n";
        assert_eq!(rendered(text, Backend::Sqlite), "one;\ntwo;\nfour;\n");
        assert_eq!(rendered(text, Backend::Postgres), "one;\nthree;\nfour;\n");
    }

    #[test]
    fn every_type_word_is_known_and_used() {
        for backend in [Backend::Sqlite, Backend::Postgres] {
            for migration in MIGRATIONS {
                let sql = rendered(migration.text, backend);
                let left: Vec<&str> = sql.lines().filter(|line| line.contains('@')).collect();
                assert!(left.is_empty(), "{}: {left:?}", migration.name);
            }
        }
        for word in TYPE_WORDS {
            let is_used = MIGRATIONS.iter().any(|m| m.text.contains(word.word));
            assert!(is_used, "{}", word.word);
        }
    }

    #[test]
    fn each_backend_fills_in_its_own_types() {
        let text = "create table t (id @uuid primary key, at @time not null, is_on @bool, own @json, kept @document)";
        assert_eq!(
            rendered(text, Backend::Sqlite),
            "create table t (id text primary key, at bigint not null, is_on bigint, own text, kept text)"
        );
        assert_eq!(
            rendered(text, Backend::Postgres),
            "create table t (id uuid primary key, at timestamptz not null, is_on boolean, own jsonb, kept json)"
        );
    }
}
