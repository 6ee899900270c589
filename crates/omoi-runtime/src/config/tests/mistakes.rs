//! What is refused or warned of, and the place that the message names.

use super::*;

#[test]
fn mistakes_in_files_are_told_with_their_place() {
    for (text, expected) in [
        (
            "llm:\n  modle: x\n",
            "/root/config/base.yaml:2: unknown key `llm.modle`; did you mean `llm.model`?",
        ),
        (
            "llm:\n  max_turns: 3\n",
            "/root/config/base.yaml:2: unknown key `llm.max_turns`; did you mean `spec.max_turns`?",
        ),
        (
            "llm:\n  zzz: {a: [1]}\n",
            "/root/config/base.yaml:2: unknown key `llm.zzz`",
        ),
        (
            "\n\nlml: {}\n",
            "/root/config/base.yaml:3: unknown section `lml`; did you mean `llm`?",
        ),
        (
            "server:\n  port: 70000\n",
            "/root/config/base.yaml:2: `70000` cannot be the value of `server.port`: it must be between 0 and 65535",
        ),
        (
            "llm:\n  mode: dry\n",
            "/root/config/base.yaml:2: `dry` cannot be the value of `llm.mode`: `dry` must be one of: live, simulated",
        ),
        (
            "llm:\n  api_key: sk-hunter2\n",
            "/root/config/base.yaml:2: `llm.api_key` is a secret; set LLM_API_KEY in the environment or use a secret file",
        ),
        (
            "database:\n  url: postgres://a:hunter2@h/d\n",
            "/root/config/base.yaml:2: `database.url` is a secret; set DATABASE_URL in the environment or use a secret file",
        ),
    ] {
        let world = World::new().file("root/config/base.yaml", text);
        assert_eq!(world.refused(), expected, "{text}");
    }
    for (text, line) in [
        ("llm: [1, 2]\n", 1),
        ("llm:\n  model: [a]\n", 2),
        ("\nsandbox:\n  read_only: /opt\n", 3),
        ("llm:\n  model: a\n  model: b\n", 3),
        ("llm:\n  model: 'a\n", 3),
        ("- a\n", 1),
    ] {
        let world = World::new().file("root/config/base.yaml", text);
        let start = format!("`/root/config/base.yaml` line {line} is not valid: ");
        let told = world.refused();
        assert!(told.starts_with(&start), "{text:?}: {told}");
    }
}

#[test]
fn mistakes_outside_yaml_are_told() {
    for (world, expected) in [
        (
            World::new().variable("TQ_W_A", "1.5"),
            "environment variable TQ_W_A: `1.5` cannot be the value of `task_queue.w_a`: it must be between 0 and 1",
        ),
        (
            World::new().file("root/.env", "\nSPEC_CFG_MAX_TURNS=many\n"),
            "/root/.env:2: `many` cannot be the value of `spec.max_turns`: it must be a whole number",
        ),
        (
            World::new().file("root/.env.local", "LLM_MODEL='x\n"),
            "`/root/.env.local` line 1: the closing quote is missing",
        ),
        (
            World::new().flag("lmm.model", "x"),
            "command line: unknown section `lmm`; did you mean `llm`?",
        ),
        (
            World::new().flag("llm.mdel", "x"),
            "command line: unknown key `llm.mdel`; did you mean `llm.model`?",
        ),
        (
            World::new().variable("REDIS_URL", "http://:hunter2@h"),
            "environment variable REDIS_URL: `http://:****@h` cannot be the value of `redis.url`: `http` must be one of: redis, rediss, redis+unix",
        ),
        (
            World::new().variable("HOME", ""),
            "`data.dir` has no default here; set OMOI_DATA_DIR",
        ),
    ] {
        assert_eq!(world.refused(), expected);
    }
}

#[test]
fn unreadable_and_huge_files_are_refused() {
    let world = World::new().file(USER, &"#".repeat(1024 * 1024 + 1));
    assert_eq!(
        world.refused(),
        "`/home/.config/omoios/config.yaml` is larger than 1048576 bytes"
    );
    let world = World::new();
    fs::create_dir(world.path(USER)).unwrap();
    assert!(
        world
            .refused()
            .starts_with("could not read `/home/.config/omoios/config.yaml`: ")
    );
    let world = World::new();
    fs::write(world.path(USER), b"\xff").unwrap();
    assert!(world.refused().contains("invalid utf-8"));
}

#[test]
fn variables_that_nobody_reads_are_warned_of() {
    let world = World::new()
        .variable("OMOI_LLM_MODLE", "x")
        .variable("OMOI_SANDBOX_ZZZZZZZZZZZZZZZ", "x")
        .variable("OMOI_UNRELATED", "x")
        .variable("LLM_ZZZ", "x");
    assert_eq!(
        world.load().unwrap().warnings(),
        [
            "nobody reads OMOI_LLM_MODLE; did you mean OMOI_LLM_MODEL?",
            "nobody reads OMOI_SANDBOX_ZZZZZZZZZZZZZZZ"
        ]
    );
}
