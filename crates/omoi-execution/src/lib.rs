//! Queue, dispatch, attempts, recovery, outbox relay
