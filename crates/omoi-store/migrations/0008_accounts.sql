-- People who sign in. A user is of no organisation: memberships say where they belong.

alter table users drop column org_id;
alter table users add column email text;
alter table users add column password_hash text;
alter table users add column is_active @bool not null default true check (is_active in (false, true));
alter table users add column is_staff @bool not null default false check (is_staff in (false, true));
alter table users add column verified_at @time;
alter table users add column token_epoch bigint not null default 0;
alter table users add column last_sign_in_at @time;
alter table users add column created_at @time;
create unique index users_email on users (email);

create table sessions (
    id @uuid primary key,
    user_id @uuid not null references users (id),
    key_name text not null,
    generation bigint not null,
    rotated_at @time not null,
    ip text not null,
    user_agent text not null,
    created_at @time not null,
    expires_at @time not null,
    absolute_expires_at @time not null,
    signed_in_at @time not null,
    revoked_at @time,
    revoke_reason text check (revoke_reason in ('sign_out', 'sign_out_everywhere', 'token_reuse',
        'password_change', 'password_reset', 'deactivation')),
    check ((revoked_at is null) = (revoke_reason is null))
);
create index sessions_user on sessions (user_id);

create table one_time_tokens (
    digest text primary key,
    purpose text not null check (purpose in ('verify', 'reset', 'unlock', 'live_ticket', 'local_link',
        'login_code', 'make_owner')),
    user_id @uuid references users (id),
    email text,
    expires_at @time not null,
    used_at @time
);
create index one_time_tokens_user on one_time_tokens (user_id, purpose);

create table sign_in_limits (
    scope text not null check (scope in ('sign_in_address', 'sign_in_pair', 'sign_in_account', 'register_address',
        'resend_address', 'forgot_address', 'mail_to', 'verify_address', 'reset_address')),
    key_digest text not null,
    window_start_at @time not null,
    tries bigint not null,
    locked_until_at @time,
    primary key (scope, key_digest)
);

@global sessions
@global one_time_tokens
@global sign_in_limits
