//! An empty database for one test.

use std::any::Any;
use std::fmt;

/// An empty database that only this test uses; dropping it removes it.
///
/// It holds no tables: the test migrates it through the store, like the program does.
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

/// Runs each of the tests named, `async fn name(database: TestDatabase)`, on an empty database of either kind, as
/// `on_sqlite::name` and `on_postgres::name`.
#[macro_export]
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::sqlite::database()).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::postgres::database()).await;
            })+
        }
    };
}
