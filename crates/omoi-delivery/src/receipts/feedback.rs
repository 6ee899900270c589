//! What an agent is told of checks that failed.

use omoi_domain::lifecycle::task::UnmetResult;
use omoi_domain::task::UnmetCode;
use omoi_store::checks::{Check, Receipt};

/// Bytes of a failed check's output that go back to the agent.
const FEEDBACK_BYTES: usize = 4_000;

/// What a task is told when some of its checks failed; none when all passed.
pub fn unmet_checks(code: UnmetCode, receipts: &[(Check, Receipt)]) -> Option<UnmetResult> {
    let failed: Vec<_> = receipts
        .iter()
        .filter(|(_, receipt)| !receipt.passed)
        .collect();
    let (check, receipt) = failed.first()?;
    let exit = receipt
        .exit_code
        .map_or("was stopped".to_owned(), |code| format!("exit {code}"));
    let feedback = format!(
        "{} of {} checks failed; first `{}` ({exit}):\n{}",
        failed.len(),
        receipts.len(),
        check.command,
        output_tail(&receipt.output)
    );
    let recommendations = failed
        .iter()
        .map(|(check, receipt)| {
            format!(
                "make `{}` pass: {}",
                check.command,
                last_line(&receipt.output)
            )
        })
        .collect();
    Some(UnmetResult {
        code,
        feedback,
        recommendations,
    })
}

/// The end of a check's output, as much as an agent or a person is shown.
pub(crate) fn output_tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(FEEDBACK_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no output")
}

#[cfg(test)]
mod tests {
    use omoi_domain::check::CheckKind;

    use super::*;
    use crate::samples::{sample_check, sample_receipt};

    #[test]
    fn the_first_failure_is_told_in_its_own_words() {
        let one = sample_check(1, CheckKind::Proof, "test a");
        let two = sample_check(2, CheckKind::Regression, "test b");
        let red = |of: &Check, exit_code, output: &str| Receipt {
            exit_code,
            ..sample_receipt(of, false, output)
        };
        for (first, second, feedback, recommendations) in [
            (
                sample_receipt(&one, true, "ok"),
                sample_receipt(&two, true, "ok"),
                None,
                vec![],
            ),
            (
                sample_receipt(&one, true, "ok"),
                red(&two, Some(2), "Traceback\nboom\n\n"),
                Some("1 of 2 checks failed; first `test b` (exit 2):\nTraceback\nboom\n\n"),
                vec!["make `test b` pass: boom"],
            ),
            (
                red(&one, None, ""),
                red(&two, Some(1), "boom"),
                Some("2 of 2 checks failed; first `test a` (was stopped):\n"),
                vec!["make `test a` pass: no output", "make `test b` pass: boom"],
            ),
        ] {
            let receipts = [(one.clone(), first), (two.clone(), second)];
            let told = unmet_checks(UnmetCode::ChecksFailed, &receipts);
            assert_eq!(told.as_ref().map(|t| t.feedback.as_str()), feedback);
            let told = told.map(|t| t.recommendations).unwrap_or_default();
            assert_eq!(told, recommendations);
        }
        assert_eq!(unmet_checks(UnmetCode::HeadRed, &[]), None);
    }

    #[test]
    fn a_long_output_is_cut_at_a_character() {
        let text = format!("{}end", "ä".repeat(FEEDBACK_BYTES));
        let kept = output_tail(&text);
        assert!(kept.len() <= FEEDBACK_BYTES && kept.ends_with("äend"));
        assert_eq!(output_tail("short"), "short");
    }
}
