//! Limits of credentials as providers tell them: who knows of one waits for its end or asks another model.
//!
//! A limit belongs to a credential, whoever uses it, or to a family of models or one model that is asked with it:
//! windows of a subscription are the credential's or a family's, counts of requests and tokens and plain pauses the
//! model's. All calls of a process share this board, and all processes share its rows through a [`QuotaBook`]. What a
//! board says is a hint: a provider's refusal closes a limit, and the time that it named, a later answer
//! or a person opens it again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use omoi_domain::outage::WINDOW_MAX;
use omoi_domain::time::Timestamp;

pub(crate) use self::told_limits::ToldLimits;
use crate::route::{ModelRoute, model_family};

mod told_limits;

/// How old what a process knows of the book may be.
const BOOK_AGE_MAX: Duration = Duration::from_secs(1);

/// A limit that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedCredential {
    /// Names the credential, or a family of models or one model with it, without telling it.
    pub credential: String,
    /// When its provider answers again.
    pub open_at: Timestamp,
}

/// What is new about a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaChange {
    /// Names the credential, or a family of models or one model with it, without telling it.
    pub credential: String,
    /// Until when it is closed; none when its provider answered.
    pub closed_until: Option<Timestamp>,
}

/// Keeps closed credentials for all processes.
pub trait QuotaBook: Send + Sync + 'static {
    /// Keeps `changes`, and gives every credential that is closed now.
    fn exchange_closed<'a>(
        &'a self,
        changes: &'a [QuotaChange],
    ) -> BoxFuture<'a, Result<Vec<ClosedCredential>, Box<dyn std::error::Error + Send + Sync>>>;
}

/// The credentials of a process whose limits are used up. Clones are the same board.
#[derive(Clone, Default)]
pub struct QuotaBoard(Arc<BoardState>);

#[derive(Default)]
struct BoardState {
    limits: Mutex<KnownLimits>,
    book: OnceLock<Arc<dyn QuotaBook>>,
    /// When the book was last read; held while it is, so that one reads for all.
    read_at: tokio::sync::Mutex<Option<Timestamp>>,
}

#[derive(Default)]
struct KnownLimits {
    closed: BTreeMap<String, Timestamp>,
    /// Not yet in the book, as [`QuotaChange::closed_until`].
    unwritten: BTreeMap<String, Option<Timestamp>>,
}

impl std::fmt::Debug for QuotaBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("QuotaBoard").finish_non_exhaustive()
    }
}

impl QuotaBoard {
    /// Shares the board with other processes by `book`; the first one stays.
    pub fn set_book(&self, book: Arc<dyn QuotaBook>) {
        let _ = self.0.book.set(book);
    }

    /// Until when `route` is closed, where that lies after `now`, as far as any process was told.
    pub async fn find_limit(&self, route: &ModelRoute, now: Timestamp) -> Option<Timestamp> {
        let is_fresh = self.exchange_closed(now, BOOK_AGE_MAX).await;
        let known = self.closed_until(route, now)?;
        if is_fresh {
            return Some(known);
        }
        // Another process may have opened it since then.
        self.exchange_closed(now, Duration::ZERO).await;
        self.closed_until(route, now)
    }

    fn closed_until(&self, route: &ModelRoute, now: Timestamp) -> Option<Timestamp> {
        let limits = lock(&self.0.limits);
        let names = [
            route.credential_id(),
            family_limit_id(route),
            model_limit_id(route),
        ];
        let closed = names.iter().filter_map(|name| limits.closed.get(name));
        closed.copied().max().filter(|open_at| *open_at > now)
    }

    /// Notes at `now` that `route` answered, and what it has `told` with that.
    pub(crate) fn note_answer(&self, route: &ModelRoute, told: ToldLimits, now: Timestamp) {
        if told.credential.is_none() {
            self.reopen(&route.credential_id(), now);
        }
        if told.family.is_none() {
            self.reopen(&family_limit_id(route), now);
        }
        if told.model.is_none() {
            self.reopen(&model_limit_id(route), now);
        }
        self.close_told(route, told, now);
    }

    /// Notes at `now` what `route` has `told` with a refusal. Others are to know it before it is passed on.
    pub(crate) async fn note_refusal(&self, route: &ModelRoute, told: ToldLimits, now: Timestamp) {
        self.close_told(route, told, now);
        if !lock(&self.0.limits).unwritten.is_empty() {
            self.exchange_closed(now, BOOK_AGE_MAX).await;
        }
    }

    fn close_told(&self, route: &ModelRoute, told: ToldLimits, now: Timestamp) {
        if let Some(open_at) = told.credential {
            self.close(route.credential_id(), open_at, now);
        }
        if let Some(open_at) = told.family {
            self.close(family_limit_id(route), open_at, now);
        }
        if let Some(open_at) = told.model {
            self.close(model_limit_id(route), open_at, now);
        }
    }

    /// Closes `credential` until `open_at`, or longer where it is already. No window is longer than
    /// [`WINDOW_MAX`]: who names a later time than that is asked again then.
    fn close(&self, credential: String, open_at: Timestamp, now: Timestamp) {
        let open_at = open_at.min(now + WINDOW_MAX);
        let mut limits = lock(&self.0.limits);
        let known = limits.closed.get(&credential).copied().unwrap_or(now);
        if known >= open_at {
            return;
        }
        limits.closed.insert(credential.clone(), open_at);
        limits.unwritten.insert(credential, Some(open_at));
    }

    /// Opens `credential`, for all processes, where it is closed.
    fn reopen(&self, credential: &str, now: Timestamp) {
        let mut limits = lock(&self.0.limits);
        let closed = limits.closed.remove(credential);
        if closed.is_some_and(|open_at| open_at > now) {
            limits.unwritten.insert(credential.to_owned(), None);
        }
    }

    /// Writes to the book what it does not have, and takes over what stands there, which is the truth for
    /// all else. It does so where there is something to write or the last time is `age` ago; gives whether
    /// it did.
    async fn exchange_closed(&self, now: Timestamp, age: Duration) -> bool {
        let Some(book) = self.0.book.get() else {
            return true;
        };
        let mut read_at = self.0.read_at.lock().await;
        // Copied, as this may be dropped at any point.
        let unwritten = lock(&self.0.limits).unwritten.clone();
        let is_due = read_at.is_none_or(|read_at| now < read_at || now.since(read_at) >= age);
        if !is_due && unwritten.is_empty() {
            return false;
        }
        let changes = unwritten
            .iter()
            .map(|(credential, closed_until)| QuotaChange {
                credential: credential.clone(),
                closed_until: *closed_until,
            });
        let changes: Vec<_> = changes.collect();
        match book.exchange_closed(&changes).await {
            Ok(all) => {
                *read_at = Some(now);
                lock(&self.0.limits).take_over(all, &unwritten);
            }
            // The next exchange brings it.
            Err(error) => {
                tracing::debug!(error = %error, "The limits of providers cannot be shared for now");
            }
        }
        true
    }
}

impl KnownLimits {
    /// Knows what stands in the book, where `written` is now too, and what came since.
    fn take_over(
        &mut self,
        book: Vec<ClosedCredential>,
        written: &BTreeMap<String, Option<Timestamp>>,
    ) {
        self.unwritten
            .retain(|credential, change| written.get(credential) != Some(change));
        let book = book.into_iter().map(|one| (one.credential, one.open_at));
        self.closed = book.collect();
        for (credential, closed_until) in &self.unwritten {
            match closed_until {
                Some(open_at) => self.closed.insert(credential.clone(), *open_at),
                None => self.closed.remove(credential),
            };
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing can panic between two changes of it.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name of the limits of the family of a model with the credential of `route`.
fn family_limit_id(route: &ModelRoute) -> String {
    let family = hex::encode(&Sha256::digest(model_family(&route.model))[..8]);
    format!("{}/family/{family}", route.credential_id())
}

/// A name of the limits of one model with the credential of `route`.
fn model_limit_id(route: &ModelRoute) -> String {
    let model = hex::encode(&Sha256::digest(&route.model)[..8]);
    format!("{}/{model}", route.credential_id())
}

#[cfg(test)]
mod tests {
    use omoi_domain::model_route::RouteName;

    use super::*;
    use crate::route::RouteTable;
    use crate::wire::dialect::Dialect;

    #[test]
    fn a_credential_is_closed_until_the_last_time_that_was_told() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let board = QuotaBoard::default();
        let known = |board: &QuotaBoard| lock(&board.0.limits).closed.get("a").copied();
        board.close("a".to_owned(), at(0), at(0));
        assert_eq!(known(&board), None, "that is no wait");
        for (until, expected) in [(20, 20), (10, 20), (i64::MAX / 2_000_000, 7 * 86_400)] {
            board.close("a".to_owned(), at(until), at(0));
            assert_eq!(known(&board.clone()), Some(at(expected)));
        }
    }

    #[test]
    fn an_answer_opens_what_it_was_given_with() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let routes = RouteTable::all_simulated(Dialect::Messages, "http://a");
        let route = routes.route_named(RouteName::Agent);
        let other = ModelRoute {
            model: "another".to_owned(),
            ..route.clone()
        };
        let told = |credential: Option<i64>, model: Option<i64>| ToldLimits {
            credential: credential.map(at),
            family: None,
            model: model.map(at),
        };
        let board = QuotaBoard::default();
        let closed = || [route, &other].map(|route| board.closed_until(route, at(0)));
        board.close_told(&other, told(None, Some(50)), at(0));
        board.close_told(route, told(Some(20), Some(30)), at(0));
        assert_eq!(closed(), [Some(at(30)), Some(at(50))]);
        // One of its counts is used up by this answer.
        board.note_answer(route, told(None, Some(10)), at(0));
        assert_eq!(closed(), [Some(at(30)), Some(at(50))]);
        board.note_answer(route, told(None, None), at(0));
        assert_eq!(closed(), [None, Some(at(50))]);
        let n_unwritten = lock(&board.0.limits).unwritten.len();
        assert_eq!(n_unwritten, 3, "other processes hear of all");
    }
}
