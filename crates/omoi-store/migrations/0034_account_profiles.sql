-- What an account says of its person, and accounts that wait to be let in.

alter table users add column department text;
-- settings of the dashboard
alter table users add column attributes @json;
alter table users add column waiting_since_at @time;
create index users_waiting on users (waiting_since_at);

-- What has expired is looked for by its end.
create index sign_in_limits_start on sign_in_limits (window_start_at);
create index sessions_end on sessions (expires_at);
