-- One text serves both databases: each fills in its own type for a word that begins with the at sign.

create table organisations (
    id @uuid primary key,
    name text not null,
    event_seq bigint not null default 0,
    owner_fence bigint not null default 0,
    slots_used bigint not null default 0 check (slots_used >= 0)
);

create table users (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    name text not null
);

create table projects (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    name text not null,
    repo_path text not null,
    autonomous @bool not null check (autonomous in (false, true)),
    next_spec_no bigint not null default 1,
    next_ticket_no bigint not null default 1,
    next_task_no bigint not null default 1,
    slots_used bigint not null default 0 check (slots_used >= 0),
    created_at @time not null,
    unique (org_id, repo_path)
);

create table repository_trusts (
    org_id @uuid not null references organisations (id),
    user_id @uuid not null references users (id),
    project_id @uuid not null references projects (id),
    file_digest text not null,
    primary key (org_id, user_id, project_id)
);

create table specs (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    number bigint not null,
    title text not null,
    original_request text not null,
    options @json not null,
    status text not null check (status in ('draft', 'executing', 'completed',
        'working', 'delivered', 'blocked', 'failed', 'cancelled')),
    current_phase text not null,
    model text not null,
    model_kind text not null check (model_kind in ('none', 'live', 'simulated')),
    scenario text,
    base_sha text not null,
    base_branch text,
    slug text not null,
    integration_branch text not null,
    survey @document not null,
    last_error text,
    blocked_by text check (blocked_by in ('suite_red', 'suite_not_run', 'not_ready',
        'provider_unavailable', 'budget_exceeded', 'environment_fault', 'task_stopped',
        'merge_stopped', 'weak_proof', 'secret_detected')),
    state_version bigint not null default 0,
    created_at @time not null,
    updated_at @time not null,
    started_at @time,
    ended_at @time,
    unique (project_id, number)
);
create index specs_status on specs (org_id, status);

create table spec_phase_runs (
    spec_id @uuid not null references specs (id),
    org_id @uuid not null references organisations (id),
    phase text not null,
    state text not null check (state in ('pending', 'running', 'backoff', 'passed', 'failed')),
    attempts bigint not null default 0,
    score double precision,
    feedback text,
    output @document,
    rejected_output @document,
    rejected_score double precision,
    facts @document,
    input_digest text,
    output_digest text,
    not_before @time not null,
    started_at @time,
    ended_at @time,
    state_version bigint not null default 0,
    primary key (spec_id, phase)
);

create table phase_items (
    spec_id @uuid not null references specs (id),
    org_id @uuid not null references organisations (id),
    phase text not null,
    seq bigint not null,
    attempt_no bigint not null,
    section text not null,
    item_key text not null,
    value @document not null,
    digest text not null,
    created_at @time not null,
    primary key (spec_id, phase, seq)
);

create table plan_opinions (
    spec_id @uuid primary key references specs (id),
    org_id @uuid not null references organisations (id),
    input_digest text,
    model text not null,
    is_same_model @bool not null check (is_same_model in (false, true)),
    doubts @json not null,
    skipped text,
    was_sent_back @bool not null default false check (was_sent_back in (false, true)),
    created_at @time not null
);

create table requirements (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    local_id text not null,
    ordinal bigint not null,
    title text not null,
    type text not null,
    priority text not null,
    body @document not null,
    content_hash text not null,
    unique (spec_id, local_id)
);

create table criteria (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    requirement_id @uuid not null references requirements (id),
    local_id text not null,
    ordinal bigint not null,
    body text not null,
    content_hash text not null,
    unique (spec_id, local_id)
);
create index criteria_requirement on criteria (requirement_id);

create table tickets (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    spec_id @uuid not null references specs (id),
    number bigint not null,
    local_id text not null,
    ordinal bigint not null,
    title text not null,
    description text not null,
    priority text not null check (priority in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    status text not null check (status in ('backlog', 'analyzing', 'building', 'building-done',
        'testing', 'deploying', 'done')),
    approval_status text not null default 'approved' check (approval_status in ('approved',
        'pending_review', 'rejected', 'timed_out')),
    is_blocked @bool not null default false check (is_blocked in (false, true)),
    state_version bigint not null default 0,
    created_at @time not null,
    updated_at @time not null,
    unique (project_id, number),
    unique (spec_id, local_id)
);

create table ticket_dependencies (
    ticket_id @uuid not null references tickets (id),
    depends_on_id @uuid not null references tickets (id),
    primary key (ticket_id, depends_on_id)
);
create index ticket_dependencies_reverse on ticket_dependencies (depends_on_id);

create table tasks (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    spec_id @uuid not null references specs (id),
    ticket_id @uuid not null references tickets (id),
    number bigint not null,
    local_id text not null,
    title text not null,
    description text not null,
    task_type text not null,
    phase_id text not null,
    priority text not null check (priority in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    status text not null check (status in ('pending', 'claiming', 'assigned', 'running',
        'pending_validation', 'validating', 'needs_revision', 'blocked', 'completed', 'failed',
        'cancelled')),
    score double precision not null default 0,
    level bigint not null,
    ordinal bigint not null,
    estimated_hours double precision not null default 1,
    files @json not null,
    requirements @json not null,
    branch text not null,
    base_sha text,
    head_sha text,
    integration_state text not null check (integration_state in ('none', 'queued',
        'merging', 'conflict', 'merged', 'manual')),
    round bigint not null default 0,
    retry_count bigint not null default 0,
    max_retries bigint not null default 3,
    force_execute @bool not null default false check (force_execute in (false, true)),
    needed @bool not null default true check (needed in (false, true)),
    not_before @time not null,
    deadline_at @time,
    timeout_seconds bigint not null,
    fence bigint not null default 0,
    attempt_id @uuid,
    revision @json,
    error_class text,
    error_message text,
    blocked_by text check (blocked_by in ('dependency_failed', 'environment_fault',
        'provider_unavailable', 'budget_exceeded', 'needs_check')),
    blocked_by_id @uuid references tasks (id),
    blocked_reason text,
    parent_task_id @uuid references tasks (id),
    discovery_depth bigint not null default 0,
    resolves_merge_id @uuid,
    summary text,
    n_open_prerequisites bigint not null default 0 check (n_open_prerequisites >= 0),
    n_dependents bigint not null default 0,
    state_version bigint not null default 0,
    queued_at @time not null,
    started_at @time,
    completed_at @time,
    created_at @time not null,
    updated_at @time not null,
    unique (project_id, number),
    unique (spec_id, local_id),
    check ((status = 'blocked') = (blocked_by is not null)),
    check ((blocked_by_id is not null) = (blocked_by is not null and blocked_by = 'dependency_failed'))
);
create index tasks_status on tasks (org_id, status, priority);
-- What a claim looks at. The constant columns make SQLite prefer it to the index above.
create index tasks_ready on tasks (org_id, status, n_open_prerequisites, not_before)
    where status = 'pending' and n_open_prerequisites = 0;
create index tasks_spec on tasks (spec_id);
create index tasks_ticket on tasks (ticket_id);
create index tasks_parent on tasks (parent_task_id);
create index tasks_blocked_by on tasks (blocked_by_id);

create table task_dependencies (
    task_id @uuid not null references tasks (id),
    depends_on_id @uuid not null references tasks (id),
    primary key (task_id, depends_on_id)
);
create index task_dependencies_reverse on task_dependencies (depends_on_id);

create table task_capabilities (
    task_id @uuid not null references tasks (id),
    capability text not null,
    primary key (task_id, capability)
);

create table agent_capabilities (
    org_id @uuid not null references organisations (id),
    capability text not null,
    primary key (org_id, capability)
);

create table merges (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    task_id @uuid not null references tasks (id),
    state text not null check (state in ('pending', 'in_progress', 'resolving', 'verifying',
        'completed', 'failed', 'manual', 'cancelled')),
    level bigint not null,
    ordinal bigint not null,
    target_branch text not null,
    incoming_sha text not null,
    merged_sha text,
    conflicts @json not null,
    forecast @json not null,
    resolve_task_id @uuid references tasks (id),
    restarts bigint not null default 0,
    error text,
    lacks_environment @bool not null default false check (lacks_environment in (false, true)),
    created_at @time not null,
    started_at @time,
    completed_at @time,
    state_version bigint not null default 0
);
create index merges_spec on merges (spec_id, state);
create index merges_task on merges (task_id);

-- The spec says which organisation and project. To check them as well locks rows that every claim moves.
create table attempts (
    id @uuid primary key,
    org_id @uuid not null,
    project_id @uuid not null,
    spec_id @uuid not null references specs (id),
    subject text not null check (subject in ('task', 'spec_phase', 'task_checks', 'base_suite',
        'plan_proofs', 'plan_opinion', 'head_checks', 'merge')),
    task_id @uuid references tasks (id),
    merge_id @uuid references merges (id),
    phase text,
    attempt_no bigint not null,
    round bigint not null,
    fence bigint not null,
    state text not null check (state in ('pending', 'starting', 'running', 'succeeded',
        'incomplete', 'failed', 'interrupted', 'lost')),
    role text not null,
    agent text check (agent in ('native', 'claude-code', 'codex') or agent like 'acp:%'),
    agent_version text,
    agent_session text,
    reasoning_maker text,
    token_hash text,
    owner text not null,
    rung text,
    base_sha text,
    head_sha text,
    wip_sha text,
    stop_reason text,
    error_class text,
    error_message text,
    wakes_at @time,
    created_at @time not null,
    started_at @time,
    ended_at @time,
    last_heartbeat_at @time,
    last_work_at @time,
    late_reports bigint not null default 0,
    lease_expires_at @time not null,
    state_version bigint not null default 0,
    check ((subject in ('task', 'task_checks')) = (task_id is not null)),
    check ((subject = 'merge') = (merge_id is not null)),
    check ((subject = 'spec_phase') = (phase is not null))
);
create unique index attempts_live_task on attempts (task_id, subject)
    where state in ('pending', 'starting', 'running');
create unique index attempts_live_merge on attempts (merge_id)
    where state in ('pending', 'starting', 'running');
create unique index attempts_live_phase on attempts (spec_id, phase)
    where state in ('pending', 'starting', 'running');
create unique index attempts_live_spec on attempts (spec_id, subject)
    where state in ('pending', 'starting', 'running') and task_id is null and merge_id is null
        and phase is null;
create unique index attempts_token on attempts (token_hash);
create index attempts_task on attempts (task_id);
create index attempts_spec on attempts (spec_id, state);

create table closed_credentials (
    org_id @uuid not null references organisations (id),
    credential text not null,
    open_at @time not null,
    primary key (org_id, credential)
);

create table model_fallbacks (
    attempt_id @uuid not null references attempts (id),
    org_id @uuid not null,
    route text not null,
    from_model text not null,
    to_model text not null,
    class text not null check (class in ('away', 'limited', 'window_exceeded', 'refused',
        'declined', 'tools_in_words', 'unusable', 'over_budget')),
    message text not null,
    n bigint not null,
    first_at @time not null,
    primary key (attempt_id, route, from_model, to_model, class)
);

create table sandboxes (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    attempt_id @uuid not null references attempts (id),
    provider text not null,
    state text not null check (state in ('pending', 'creating', 'running', 'completing',
        'completed', 'failed', 'terminated')),
    held @json not null,
    mounts @json not null,
    start_steps @json not null,
    reason text,
    created_at @time not null,
    state_version bigint not null default 0
);
create index sandboxes_attempt on sandboxes (attempt_id);
create index sandboxes_state on sandboxes (org_id, state);

create table turns (
    attempt_id @uuid not null references attempts (id),
    org_id @uuid not null references organisations (id),
    n bigint not null,
    kind text not null check (kind in ('answer', 'compaction')),
    request_digest text not null,
    request_tokens bigint,
    told_bytes bigint not null,
    session_bytes bigint not null,
    response @document not null,
    tool_results @document not null,
    session @document,
    wip_sha text,
    created_at @time not null,
    primary key (attempt_id, n)
);

create table agent_events (
    attempt_id @uuid not null references attempts (id),
    org_id @uuid not null references organisations (id),
    seq bigint not null,
    event_id @uuid not null unique,
    event_type text not null,
    data @document not null,
    created_at @time not null,
    primary key (attempt_id, seq)
);

create table messages (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    task_id @uuid not null references tasks (id),
    message_type text not null,
    content text not null,
    sender text not null,
    created_at @time not null,
    acked_at @time,
    acked_by @uuid
);
create index messages_open on messages (task_id, acked_at);

create table checks (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    task_id @uuid references tasks (id),
    ordinal bigint not null,
    kind text not null check (kind in ('proof', 'regression', 'suite')),
    command text not null,
    files @json not null,
    timeout_s bigint not null,
    base_exit bigint,
    unique (id, kind)
);
create index checks_spec on checks (spec_id);
create index checks_task on checks (task_id);

-- Only a proof can be linked to a criterion.
create table check_criteria (
    check_id @uuid not null,
    check_kind text not null default 'proof' check (check_kind = 'proof'),
    criterion_id @uuid not null references criteria (id),
    primary key (check_id, criterion_id),
    foreign key (check_id, check_kind) references checks (id, kind)
);
create index check_criteria_reverse on check_criteria (criterion_id);

create table receipts (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    check_id @uuid not null references checks (id),
    task_id @uuid references tasks (id),
    attempt_id @uuid not null references attempts (id),
    stage text not null check (stage in ('base', 'task', 'merge', 'head', 'ablation')),
    commit_sha text not null,
    tree_sha text not null,
    rung text not null,
    conditions @json not null,
    exit_code bigint,
    passed @bool not null check (passed in (false, true)),
    output text not null,
    output_digest text not null,
    exercised @json not null,
    self_tested @bool not null check (self_tested in (false, true)),
    tests @json not null,
    models @json not null,
    packages @json not null,
    started_at @time not null,
    took_ms bigint not null,
    unique (check_id, commit_sha, stage, attempt_id)
);
create unique index receipts_passed on receipts (check_id, commit_sha, stage) where passed;
create index receipts_spec on receipts (spec_id, commit_sha);
create index receipts_task on receipts (task_id);

create table ablations (
    criterion_id @uuid primary key references criteria (id),
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    verdict text not null check (verdict in ('needed', 'weak', 'unknown', 'not_tried')),
    head_sha text not null,
    without @json not null,
    reason text,
    is_accepted @bool not null default false check (is_accepted in (false, true)),
    attempt_id @uuid not null references attempts (id),
    created_at @time not null
);
create index ablations_spec on ablations (spec_id);

create table hand_overs (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null unique references specs (id),
    state text not null check (state in ('planned', 'confirmed')),
    head_sha text not null,
    branch text not null,
    note text,
    created_at @time not null,
    completed_at @time
);

create table discoveries (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    source_task_id @uuid not null references tasks (id),
    discovery_key text not null,
    discovery_type text not null,
    title text not null,
    description text not null,
    task_id @uuid references tasks (id),
    refused text,
    created_at @time not null,
    unique (source_task_id, discovery_key)
);
create index discoveries_spec on discoveries (spec_id);

create table egress_entries (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    spec_id @uuid references specs (id),
    attempt_id @uuid references attempts (id),
    packages_layer text,
    outcome text not null check (outcome in ('came_in', 'refused')),
    target text not null,
    reason text,
    detail text not null,
    remedy text,
    digest text,
    bytes bigint,
    created_at @time not null,
    check ((outcome = 'refused') = (reason is not null)),
    check ((outcome = 'came_in') = (digest is not null)),
    check ((attempt_id is null) = (spec_id is null)),
    check ((attempt_id is null) = (packages_layer is not null)),
    unique (attempt_id, target, detail, digest),
    unique (packages_layer, target, detail, digest)
);
create index egress_entries_spec on egress_entries (spec_id);
create index egress_entries_project on egress_entries (project_id, created_at);

create table cost_entries (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    purpose text not null check (purpose in ('attempt', 'judge')),
    attempt_id @uuid references attempts (id),
    role text not null,
    route text not null,
    model text not null,
    simulated @bool not null check (simulated in (false, true)),
    input_tokens bigint not null,
    output_tokens bigint not null,
    cache_read_tokens bigint not null,
    cache_write_tokens bigint not null,
    cache_write_1h_tokens bigint not null,
    cost_nanousd bigint not null,
    latency_ms bigint not null,
    calls bigint not null,
    estimated @bool not null check (estimated in (false, true)),
    unrecorded @bool not null check (unrecorded in (false, true)),
    cache_miss text,
    created_at @time not null,
    check ((purpose = 'attempt') = (attempt_id is not null)),
    check (estimated or not unrecorded)
);
create index cost_entries_spec on cost_entries (spec_id, purpose);
create index cost_entries_attempt on cost_entries (attempt_id);

create table open_calls (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    spec_id @uuid not null references specs (id),
    purpose text not null check (purpose in ('attempt', 'judge')),
    attempt_id @uuid references attempts (id),
    role text not null,
    route text not null,
    model text not null,
    simulated @bool not null check (simulated in (false, true)),
    input_tokens bigint not null,
    output_tokens bigint not null,
    cost_nanousd bigint not null,
    owner text not null,
    opened_at @time not null,
    check ((purpose = 'attempt') = (attempt_id is not null))
);
create index open_calls_spec on open_calls (spec_id, purpose);

-- An event is written by the statement that moves its organisation's numbers.
create table events (
    org_id @uuid not null,
    seq bigint not null,
    event_id @uuid not null unique,
    project_id @uuid,
    spec_id @uuid,
    event_type text not null,
    actor text not null check (actor in ('system', 'local')),
    body @json not null,
    occurred_at @time not null,
    primary key (org_id, seq)
);
create index events_spec on events (spec_id, seq);

create table deployment (
    id bigint primary key check (id = 1),
    folder_id text not null,
    place text not null,
    -- of the models that answered last; none before the first
    models_digest text
);

insert into organisations (id, name) values ('01930000-0000-7000-8000-000000000001', 'local');
insert into users (id, org_id, name)
    values ('01930000-0000-7000-8000-000000000002', '01930000-0000-7000-8000-000000000001', 'local');
insert into agent_capabilities (org_id, capability) values
    ('01930000-0000-7000-8000-000000000001', 'code'),
    ('01930000-0000-7000-8000-000000000001', 'git'),
    ('01930000-0000-7000-8000-000000000001', 'shell'),
    ('01930000-0000-7000-8000-000000000001', 'tests');
