//! Checks and receipts, merge queue, conflict resolution, hand-over
