//! The schema: one text for both databases, in which types are words that each fills in.

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

/// Every migration in order.
const MIGRATIONS: &[MigrationText] = &[MigrationText {
    version: 1,
    name: "init",
    text: include_str!("../../migrations/0001_init.sql"),
}];

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

fn rendered(text: &str, backend: Backend) -> String {
    let mut rendered = text.to_owned();
    for word in TYPE_WORDS {
        let filled_in = match backend {
            Backend::Sqlite => word.sqlite,
            Backend::Postgres => word.postgres,
        };
        rendered = rendered.replace(word.word, filled_in);
    }
    rendered
}

#[cfg(test)]
mod tests {
    use super::*;

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
