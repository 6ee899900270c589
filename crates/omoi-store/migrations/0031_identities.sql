-- Accounts at other providers by which people sign in, and the ways there that are under way.

create table user_identities (
    provider text not null check (provider in ('github', 'google')),
    provider_user_id text not null,
    user_id @uuid not null references users (id),
    username text,
    created_at @time not null,
    primary key (provider, provider_user_id)
);
create unique index user_identities_user on user_identities (user_id, provider);

create table provider_flows (
    digest text primary key,
    provider text not null check (provider in ('github', 'google')),
    stage text not null check (stage in ('sign_in', 'link', 'returned')),
    key_name text not null,
    browser_digest text,
    user_id @uuid references users (id),
    return_to text not null,
    expires_at @time not null
);
create index provider_flows_user on provider_flows (user_id);
create index provider_flows_end on provider_flows (expires_at);

@global user_identities
@global provider_flows
