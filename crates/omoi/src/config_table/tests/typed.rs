//! Each key reaches the field of the typed options that is named for it.

use std::path::PathBuf;
use std::time::Duration;

use omoi_domain::discovery::DiscoveryCaps;
use omoi_domain::model_route::{AnswerTimes, RouteName};
use omoi_domain::money::NanoUsd;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::slots::SlotLimits;
use omoi_domain::work_budget::WorkBudget;
use omoi_domain::work_limits::{PhaseLimits, TaskLimits, WorkLimits};
use omoi_execution::options::MonitoringOptions;
use omoi_planning::options::work_limits;
use omoi_runtime::options::DataOptions;
use omoi_sandbox::{ImageSource, Property};
use omoi_server::options::ListenOptions;

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a process makes of these flags, `section.key=value` on one line each.
fn load_flags(flags: &str) -> Config {
    let home = [("HOME".into(), HOME.into())];
    let mut sources = ConfigSources::from_variables(home.into());
    for line in flags.lines() {
        let (key, value) = line.trim().split_once('=').unwrap();
        sources = sources.with_flag(key, value);
    }
    load_config(&CONFIG_TABLE, &sources).unwrap()
}

#[test]
fn every_budget_names_the_key_and_the_variable_that_raise_it() {
    for budget in WorkBudget::ALL {
        let variable = [(budget.variable_name(), "7")];
        let config = load(&variable).unwrap();
        let raised = work_limits(&config).budget_cap(budget);
        assert_eq!(raised, NanoUsd::from_dollars(7), "{budget}");
        let config = load_flags(&format!("{}=8", budget.config_key()));
        let raised = work_limits(&config).budget_cap(budget);
        assert_eq!(raised, NanoUsd::from_dollars(8), "{budget}");
    }
}

#[test]
fn every_limit_of_work_has_its_key() {
    let config = load_flags(
        "spec.max_turns=2
        spec.phase_timeout_seconds=3
        spec.max_attempts=4
        spec.phase_budget_usd=5
        spec.total_budget_usd=6
        agent.task_timeout_seconds=7
        agent.max_turns=8
        agent.max_budget_usd=9
        agent.tool_timeout_seconds=10
        validation.check_timeout_seconds=11
        discovery.depth_cap=12
        discovery.per_task_cap=13
        discovery.per_spec_cap=14",
    );
    let expected = WorkLimits {
        spec_budget: NanoUsd::from_dollars(6),
        phase: PhaseLimits {
            turns_max: 2,
            timeout: seconds(3),
            attempts_max: 4,
            budget: NanoUsd::from_dollars(5),
        },
        task: TaskLimits {
            turns_max: 8,
            timeout: seconds(7),
            budget: NanoUsd::from_dollars(9),
            command_timeout: seconds(10),
        },
        check_timeout: seconds(11),
        discovery: DiscoveryCaps {
            depth: 12,
            per_task: 13,
            per_spec: 14,
        },
    };
    assert_eq!(work_limits(&config), expected);
}

#[test]
fn the_queue_and_the_watch_have_their_keys() {
    let config = load_flags(
        "task_queue.w_p=0.3
        task_queue.w_a=0.25
        task_queue.w_d=0.2
        task_queue.w_b=0.15
        task_queue.w_r=0.1
        task_queue.age_ceiling=2
        task_queue.sla_urgency_window=3
        task_queue.sla_boost_multiplier=4
        task_queue.starvation_limit=5
        task_queue.starvation_floor_score=0.7
        task_queue.blocker_ceiling=6
        task_queue.max_scan_batch=7
        limits.max_concurrent_tasks_per_project=8
        limits.max_concurrent_agents=9
        agent.heartbeat_interval=10
        monitoring.poll_interval_seconds=11
        monitoring.heartbeat_timeout_seconds=12
        monitoring.claim_timeout_seconds=13",
    );
    let queue = QueueOptions::from_config(&config);
    let weights = ScoreWeights {
        w_p: 0.3,
        w_a: 0.25,
        w_d: 0.2,
        w_b: 0.15,
        w_r: 0.1,
        age_ceiling: 2.0,
        sla_urgency_window: 3.0,
        sla_boost_multiplier: 4.0,
        starvation_limit: 5.0,
        starvation_floor_score: 0.7,
        blocker_ceiling: 6.0,
    };
    let slots = SlotLimits {
        per_project: 8,
        in_deployment: 9,
    };
    assert_eq!(
        (queue.weights, queue.slots, queue.scan_batch),
        (weights, slots, 7)
    );
    let monitoring = MonitoringOptions {
        poll: seconds(11),
        heartbeat: seconds(10),
        heartbeat_timeout: seconds(12),
        start_timeout: seconds(13),
    };
    assert_eq!(MonitoringOptions::from_config(&config), monitoring);
}

#[test]
fn sandboxes_have_their_keys() {
    let config = load_flags(
        "sandbox.provider=process
        sandbox.container_sockets=/run/a.sock,/run/b.sock
        sandbox.image=localhost/tools:1
        sandbox.floor=network,files
        sandbox.read_only=/opt/a,/opt/b
        sandbox.memory_bytes=64 MiB
        sandbox.processes=9
        sandbox.cpus=1.5
        sandbox.file_bytes=2 MiB
        sandbox.open_files=65
        sandbox.temp_bytes=3 MiB
        sandbox.workspace_bytes=4 MiB",
    );
    let options = SandboxOptions::from_config(&config);
    assert_eq!(options.wanted, Some(SandboxRung::Process));
    let sockets = ["/run/a.sock", "/run/b.sock"].map(PathBuf::from);
    assert_eq!(options.container_sockets, sockets);
    let image = ImageSource::Name("localhost/tools:1".to_owned());
    assert_eq!(options.image, Some(image));
    assert_eq!(options.floor.0, [Property::Files, Property::Network].into());
    assert_eq!(options.read_only, ["/opt/a", "/opt/b"].map(PathBuf::from));
    let limits = SandboxLimits {
        memory_bytes: 64 << 20,
        processes_max: 9,
        cpu_millicores: 1_500,
        file_bytes_max: 2 << 20,
        open_files_max: 65,
        temp_bytes: 3 << 20,
        workspace_bytes: 4 << 20,
    };
    assert_eq!(options.limits, limits);
}

#[test]
fn servers_and_folders_have_their_keys() {
    let config = load_flags(
        "data.dir=/srv/omoi
        data.disk_wait=2
        database.url=postgres://host/db
        database.pool_size=3
        database.pool_timeout=4
        database.command_timeout=5
        database.connect_timeout=6
        redis.url=redis://host
        redis.key_prefix=mine
        server.host=::1
        server.port=7
        llm.answer_times=title=1/2/3
        models.settings=title=effort:low
        llm.retry_time=9
        llm.outage_wait=10",
    );
    let data = DataOptions {
        folder: "/srv/omoi".into(),
        disk_wait: seconds(2),
    };
    assert_eq!(DataOptions::from_config(&config), data);
    let database = DatabaseOptions {
        url: "postgres://host/db".to_owned(),
        server: ServerOptions {
            connections: 3,
            pool_timeout: seconds(4),
            command_timeout: seconds(5),
            connect_timeout: seconds(6),
        },
    };
    assert_eq!(DatabaseOptions::from_config(&config), database);
    assert!(database.is_shared());
    let redis = RedisOptions::from_config(&config).unwrap();
    assert_eq!(
        (redis.url.as_str(), redis.key_prefix.as_str()),
        ("redis://host", "mine")
    );
    let listen = ListenOptions {
        host: "::1".to_owned(),
        port: 7,
    };
    assert_eq!(ListenOptions::from_config(&config), listen);
    let llm = LlmOptions::from_config(&config);
    let row = AnswerTimes {
        route: RouteName::Title,
        first_content: seconds(1),
        silence: seconds(2),
        total: seconds(3),
    };
    assert_eq!(llm.answer_times, [row]);
    let settings: Vec<_> = llm
        .servers
        .role_settings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(settings, ["title=effort:low"]);
    let times = [llm.retry_time, llm.outage_wait];
    assert_eq!(times, [9, 10].map(seconds));
}

#[test]
fn a_derived_database_lies_in_the_data_folder() {
    let folder = load_flags("data.dir=/srv/50% of #1?");
    let database = DatabaseOptions::from_config(&folder);
    assert_eq!(database.url, "sqlite:///srv/50%25 of %231%3F/omoios.db");
    assert!(!database.is_shared());
}
