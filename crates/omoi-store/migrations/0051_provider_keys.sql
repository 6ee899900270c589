-- Keys that organisations bring for providers of models. Of a key, its last four characters alone are kept in the clear.

create table provider_keys (
    org_id @uuid not null references organisations (id),
    provider_name text not null,
    -- the key of the deployment's ring that the key below is encrypted with
    ring_key text not null,
    -- a key of this row alone, encrypted
    wrapped_key @bytes not null,
    -- the provider's key, encrypted with that
    sealed_key @bytes not null,
    last_four text not null,
    set_at @time not null,
    primary key (org_id, provider_name)
);

-- The providers that the orchestrator asks with a key: an organisation brings its own for no other.
alter table deployment add column key_providers @json;

@tenant provider_keys
