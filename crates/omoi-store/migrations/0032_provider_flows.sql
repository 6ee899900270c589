-- A person on the way to a sign-in provider has a token that is good once, like the others. Ways that are under way end:
-- they last ten minutes. No token makes an owner any more: the first one is invited.

create table new_one_time_tokens (
    digest text primary key,
    purpose text not null check (purpose in ('verify', 'reset', 'unlock', 'live_ticket', 'local_link', 'login_code',
        'provider_flow')),
    user_id @uuid references users (id),
    email text,
    expires_at @time not null,
    used_at @time,
    provider_flow @json,
    check ((purpose = 'provider_flow') = (provider_flow is not null))
);
insert into new_one_time_tokens (digest, purpose, user_id, email, expires_at, used_at)
    select digest, purpose, user_id, email, expires_at, used_at from one_time_tokens where purpose <> 'make_owner';
drop table one_time_tokens;
drop table provider_flows;
alter table new_one_time_tokens rename to one_time_tokens;
create index one_time_tokens_user on one_time_tokens (user_id, purpose);
create index one_time_tokens_end on one_time_tokens (expires_at);

@global one_time_tokens
