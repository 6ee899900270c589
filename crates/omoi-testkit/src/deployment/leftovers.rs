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
    /// Numbers of the outbox rows, in their order.
    event_numbers: Vec<String>,
    /// The number of the last event, as its writers count.
    last_event: Vec<String>,
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
        let expected: Vec<String> = (1..=found.event_numbers.len())
            .map(|n| n.to_string())
            .collect();
        assert_eq!(found.event_numbers, expected, "the outbox has a gap");
        let last = expected.last().map_or("0", String::as_str);
        assert_eq!(
            found.last_event,
            [last],
            "an event was counted and not written"
        );
    }
}

async fn look(url: &str) -> Result<Found, sqlx::Error> {
    let mut connection = RawConnection::open(url).await?;
    let live = "select id from attempts where state in ('pending', 'starting', 'running')";
    let numbers = "select seq from events order by org_id, seq";
    let last = "select max(event_seq) from organisations";
    let found = Found {
        open_attempts: connection.texts(live).await?,
        event_numbers: connection.texts(numbers).await?,
        last_event: connection.texts(last).await?,
    };
    connection.close().await?;
    Ok(found)
}
