//! A database for one test.

use std::any::Any;
use std::fmt;

/// A database that only this test uses; dropping it removes it.
///
/// It has the newest schema and the rows that migrations write, or, for tests of the schema itself, nothing.
pub struct TestDatabase {
    url: String,
    /// Removes the database when dropped.
    _owner: Box<dyn Any + Send + Sync>,
}

impl TestDatabase {
    pub(crate) fn new(url: String, owner: impl Any + Send + Sync) -> Self {
        Self {
            url,
            _owner: Box::new(owner),
        }
    }

    /// The address to open it with, as a user would write it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDatabase")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Runs each of the tests named, `async fn name(database: TestDatabase)`, on a new database of either kind, as
/// `on_sqlite::name` and `on_postgres::name`; after the word `empty:`, on one without any table.
#[macro_export]
macro_rules! on_both_databases {
    (empty: $($test:ident),+ $(,)?) => {
        $crate::on_both_databases!(@ empty_database $($test)+);
    };
    (@ $make:ident $($test:ident)+) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::sqlite::$make()).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::postgres::$make()).await;
            })+
        }
    };
    ($($test:ident),+ $(,)?) => {
        $crate::on_both_databases!(@ database $($test)+);
    };
}
