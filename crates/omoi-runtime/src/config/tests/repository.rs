//! What the file of a repository may say.

use super::*;

#[test]
fn a_repository_cannot_move_walls() {
    let world = World::new().file(PROJECT, "sandbox:\n  floor: []\n");
    assert_eq!(
        world.refused(),
        ".omoi.yaml:2: `sandbox.floor` cannot be set by a repository; \
         set SANDBOX_FLOOR, or use your own file"
    );
}

#[test]
fn a_repository_lowers_limits_and_raises_none() {
    let limit = |yaml: &str| World::new().file(PROJECT, yaml);
    let budget = |world: &World| {
        let config = world.load().unwrap();
        config
            .get(&keys::SPEC_TOTAL_BUDGET_USD)
            .as_usd()
            .to_string()
    };
    assert_eq!(budget(&limit("spec:\n  total_budget_usd: 1.5\n")), "1.5");
    let raised = limit("spec:\n  total_budget_usd: 51\n");
    assert_eq!(
        raised.refused(),
        ".omoi.yaml:2: a repository can lower `spec.total_budget_usd`, not raise it to 51.0; \
         it is 50.0 (default)"
    );
    // What the person allows is the limit, not the default.
    let generous = raised.file(USER, "spec:\n  total_budget_usd: 60\n");
    assert_eq!(budget(&generous), "51");
}

#[test]
fn a_repository_mounts_no_place_of_the_home() {
    let read =
        |path: &str| World::new().file(PROJECT, &format!("sandbox:\n  read_only: ['{path}']\n"));
    let link = World::new();
    std::os::unix::fs::symlink(link.path("home/.config"), link.path("repo/link")).unwrap();
    let through_link = format!(
        "sandbox:\n  read_only: ['{}']\n",
        link.path("repo/link").display()
    );
    for world in [
        read("/"),
        read("~/"),
        read("~/.ssh"),
        read("/opt/../root/../.."),
        link.file(PROJECT, &through_link),
    ] {
        let refused = world.load();
        assert!(
            matches!(refused, Err(LoadError::HomeForRepository { .. })),
            "{refused:?}"
        );
    }
    let fine = read("/opt/toolchain").load().unwrap();
    assert_eq!(
        fine.get(&keys::SANDBOX_READ_ONLY),
        [PathBuf::from("/opt/toolchain")]
    );
    let own = World::new().file(USER, "sandbox:\n  read_only: ['~/b']\n");
    let expected = own.path("home/b");
    assert_eq!(
        own.load().unwrap().get(&keys::SANDBOX_READ_ONLY),
        [expected]
    );
}
