-- Requests that their senders named, so that each is done once however often it comes. Looked up before an organisation
-- is known, as some concern none; what the rows of an organisation were answered with is its own.

create table request_keys (
    id @uuid primary key,
    -- SHA-256 of who asked for what where, and of the key
    request_digest text not null unique,
    body_digest text not null,
    -- the one run that may write for it
    run_id @uuid not null,
    state text not null check (state in ('open', 'done', 'answered', 'shown')),
    -- the row that it made
    made_id @uuid,
    -- of its answer
    status bigint,
    lease_until @time not null,
    expires_at @time not null
);
create index request_keys_expired on request_keys (expires_at);

create table kept_answers (
    request_id @uuid primary key references request_keys (id) on delete cascade,
    org_id @uuid not null references organisations (id),
    body text not null,
    etag text,
    location text
);

@global request_keys
@tenant kept_answers
