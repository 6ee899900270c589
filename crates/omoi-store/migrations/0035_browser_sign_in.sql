-- Signing in by a browser: tickets of streams, codes of machines that wait to be let in, and a count of revocations by which every
-- process learns that something was revoked elsewhere.

alter table one_time_tokens add column session_id @uuid references sessions (id) on delete cascade;
alter table one_time_tokens add column api_key_id @uuid references api_keys (id) on delete cascade;
-- digest of the code that people compare
alter table one_time_tokens add column code_digest text;
-- name of the machine
alter table one_time_tokens add column label text;
create unique index one_time_tokens_code on one_time_tokens (code_digest);

alter table deployment add column revocations bigint not null default 0;
