//! What the database is asked, as its drivers tell it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// One statement that was run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its text in one line.
    pub(crate) sql: String,
    /// Rows it gave back.
    pub(crate) rows: u64,
}

/// Every statement of this process, in order.
#[derive(Clone, Default)]
pub(crate) struct Statements(Arc<Mutex<Vec<Statement>>>);

impl Statements {
    /// Listens from now on. Drivers have threads of their own, so it is the whole process that is heard: a
    /// test's own, as nextest runs them.
    pub(crate) fn listen() -> Self {
        let heard = Self::default();
        let subscriber = tracing_subscriber::registry().with(heard.clone());
        tracing::subscriber::set_global_default(subscriber).expect("somebody listens already");
        heard
    }

    /// Those since the last look, but for what sets up a connection: a pool opens one whenever it likes.
    pub(crate) fn take(&self) -> Vec<Statement> {
        let mut heard = std::mem::take(&mut *self.0.lock().unwrap());
        let begins = ["set ", "select set_config(", "pragma "];
        let sets_up = |sql: &str| begins.iter().any(|word| sql.starts_with(word));
        heard.retain(|statement| !sets_up(&statement.sql.to_lowercase()));
        heard
    }
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "sqlx::query" {
            return;
        }
        let mut statement = Statement::default();
        event.record(&mut statement);
        self.0.lock().unwrap().push(statement);
    }
}

impl Visit for Statement {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // The whole text comes after its first words, unless these are all of it.
        if ["summary", "db.statement"].contains(&field.name()) && !value.is_empty() {
            self.sql = value.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
