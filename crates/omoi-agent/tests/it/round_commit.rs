//! What agent programs have done when their provider turns them away.

use crate::{claude_code, codex};

/// The refusal of the call after a round ends the attempt at once.
#[tokio::test]
async fn a_round_of_a_program_is_committed_before_its_next_call() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: TOOL, input: {command: "until test -e go; do sleep 0.05; done; rm go; echo one >> log"}}}]
"#;
    for (program, bench) in [
        (
            "Claude Code",
            claude_code::bench(&rules.replace("TOOL", "Bash"), "late-file").await,
        ),
        (
            "Codex",
            codex::bench(&rules.replace("TOOL", "shell"), "late-file").await,
        ),
    ] {
        let turn_away = async {
            bench.until(|seen| seen.asked == 1).await;
            bench.set(|seen| {
                seen.model_status = Some(403);
                seen.model_kind = Some("superseded_attempt");
            });
            std::fs::write(bench.work().join("go"), "").unwrap();
        };
        let (clean, ()) = tokio::join!(bench.run(), turn_away);
        assert!(clean);
        let seen = bench.seen();
        assert!(seen.completes.is_empty(), "{program}");
        let turns = seen.turns.iter().map(|t| (t.turn.n, t.snapshot.is_some()));
        assert_eq!(turns.collect::<Vec<_>>(), [(0, true)], "{program}");
        let session = seen.turns[0].turn.session.as_ref();
        assert!(session.is_some(), "{program} goes on from it");
    }
}
