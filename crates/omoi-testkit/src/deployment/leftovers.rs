//! What a test must not leave in its database.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use omoi_domain::id::AttemptId;
use tokio::runtime::Builder;

use crate::raw_connection::RawConnection;

/// What is looked for when a test ends.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    may_have_open_attempts: AtomicBool,
    claimed: Mutex<BTreeSet<String>>,
}

/// What was found in a database.
struct Found {
    /// Ids of live attempts.
    open_attempts: Vec<String>,
    /// Organisations whose outbox does not hold every number that was taken.
    broken_outboxes: Vec<String>,
}

impl Leftovers {
    /// Any attempt may be live at the end.
    pub(super) fn allow_open_attempts(&self) {
        self.may_have_open_attempts.store(true, Ordering::Relaxed);
    }

    /// This one may be: the test claimed it by hand and decides itself how it ends.
    pub(super) fn allow_claimed(&self, attempt: AttemptId) {
        self.claimed.lock().unwrap().insert(attempt.to_string());
    }

    /// Fails the test for what it left in the database at `url`.
    pub(super) fn refuse_leftovers(&self, url: &str) {
        let url = url.to_owned();
        // A test is dropped on a thread of its runtime, which may not block on another one.
        let looked = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(look(&url)).unwrap()
        });
        let found = looked.join().unwrap();
        let claimed = self.claimed.lock().unwrap();
        let mut open = found.open_attempts;
        open.retain(|id| !claimed.contains(id));
        assert!(
            self.may_have_open_attempts.load(Ordering::Relaxed) || open.is_empty(),
            "the test ends with live attempts: {open:?}; end them, or say `leaves_open_attempts`"
        );
        assert!(
            found.broken_outboxes.is_empty(),
            "the outboxes of {:?} have a gap, or an event was counted and not written",
            found.broken_outboxes
        );
    }
}

async fn look(url: &str) -> Result<Found, sqlx::Error> {
    let mut connection = RawConnection::open(url).await?;
    let live = "select id from attempts where state in ('pending', 'starting', 'running')";
    // Numbers begin at 1 and are taken once.
    let broken = "select cast(o.id as text) from organisations o
         where o.event_seq <> (select count(*) from events e where e.org_id = o.id)
         or o.event_seq <> (select coalesce(max(e.seq), 0) from events e where e.org_id = o.id)";
    let found = Found {
        open_attempts: connection.texts(live).await?,
        broken_outboxes: connection.texts(broken).await?,
    };
    connection.close().await?;
    Ok(found)
}
