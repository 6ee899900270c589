//! Test-only: servers, databases, temporary repositories
