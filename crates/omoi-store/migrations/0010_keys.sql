-- Keys: what acts without signing in.

create table api_keys (
    id @uuid primary key,
    kind text not null check (kind in ('person', 'organization', 'agent')),
    user_id @uuid references users (id),
    org_id @uuid references organisations (id),
    project_id @uuid references projects (id),
    role text check (role in ('owner', 'admin', 'member', 'viewer', 'agent_executor', 'custom')),
    custom_role_id @uuid references roles (id),
    name text not null,
    shown_prefix text not null,
    digest text not null unique,
    scopes @json not null,
    created_by_id @uuid not null references users (id),
    created_at @time not null,
    expires_at @time,
    last_used_at @time,
    revoked_at @time,
    check ((kind = 'person') = (user_id is not null)),
    check (kind = 'person' or org_id is not null),
    check ((kind = 'agent') = (project_id is not null)),
    check ((kind = 'organization') = (role is not null))
);
create index api_keys_user on api_keys (user_id);
create index api_keys_org on api_keys (org_id);

@global api_keys
