-- PostgreSQL gives each transaction the rows of one organisation alone, whatever its statements ask for.

--@ postgres
do $$
begin
    if not exists (select 1 from pg_roles where rolname = 'omoi_app') then
        create role omoi_app nologin;
    end if;
exception
    -- Another database of the server was faster.
    when duplicate_object or unique_violation then null;
end
$$;
-- Membership says too little: from PostgreSQL 16 on, whoever made a role is its member and may still not become it.
do $$
begin
    set local role omoi_app;
    reset role;
exception when insufficient_privilege then
    execute format('grant omoi_app to %I', current_user);
end
$$;
do $$
begin
    execute format('grant usage on schema %I to omoi_app', current_schema());
end
$$;
--@ both

@global attempt_tokens
@global deployment
@global organisations
@global users

@tenant ablations
@tenant agent_capabilities
@tenant agent_events
@tenant attempts
@tenant check_criteria
@tenant checks
@tenant closed_credentials
@tenant cost_entries
@tenant criteria
@tenant discoveries
@tenant egress_entries
@tenant events
@tenant hand_overs
@tenant merges
@tenant messages
@tenant model_fallbacks
@tenant open_calls
@tenant phase_items
@tenant plan_opinions
@tenant projects
@tenant receipts
@tenant repository_trusts
@tenant requirements
@tenant sandboxes
@tenant spec_phase_runs
@tenant specs
@tenant task_capabilities
@tenant task_dependencies
@tenant tasks
@tenant ticket_dependencies
@tenant tickets
@tenant turns
