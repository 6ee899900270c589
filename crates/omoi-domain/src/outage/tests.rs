use super::*;

const WAIT: Duration = Duration::from_mins(15);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn ended_attempt(began: i64, ended: i64, is_outage: bool) -> EndedAttempt {
    EndedAttempt {
        began_at: at(began),
        ended_at: at(ended),
        is_outage,
        is_saved: false,
        wakes_at: None,
    }
}

#[test]
fn an_outage_is_waited_out_and_ends_the_work_when_it_lasts() {
    let again = |at_s, until_s| OutageStep::TryAgain {
        at: at(at_s),
        until: at(until_s),
    };
    for (name, class, failed, answered, now, expected) in [
        (
            "first",
            ErrorClass::Upstream5xx,
            &[(100, 200)][..],
            None,
            200,
            again(205, 1000),
        ),
        (
            "second",
            ErrorClass::RateLimited,
            &[(100, 200), (205, 210)],
            None,
            210,
            again(220, 1000),
        ),
        (
            "answered in between",
            ErrorClass::Upstream5xx,
            &[(100, 200), (800, 900)],
            Some(850),
            900,
            again(910, 1750),
        ),
        (
            "it lasts",
            ErrorClass::Upstream5xx,
            &[(100, 200), (900, 960)],
            None,
            995,
            OutageStep::Stop,
        ),
        (
            "a key is refused",
            ErrorClass::AuthFailed,
            &[(100, 101)],
            None,
            101,
            OutageStep::Stop,
        ),
        (
            "a request is refused",
            ErrorClass::UpstreamRefused,
            &[(100, 101)],
            None,
            101,
            OutageStep::Stop,
        ),
    ] {
        let failed: Vec<EndedAttempt> = failed
            .iter()
            .map(|(began, ended)| ended_attempt(*began, *ended, true))
            .collect();
        let record = OutageRecord {
            attempts: &failed,
            answered_at: answered.map(at),
            resumed_at: None,
            spread: 0.0,
        };
        let step = outage_step(class, record, at(now), WAIT);
        assert_eq!(step, expected, "{name}");
    }
}

/// A pause for the `n`th failure in a row.
fn pause_of(n: u32) -> Duration {
    (PAUSE_MIN * 2_u32.pow((n - 1).min(8))).min(PAUSE_MAX)
}

#[test]
fn a_provider_that_answers_and_then_fails_each_time_is_given_up() {
    let max = u32::try_from(OUTAGE_ATTEMPTS_MAX).unwrap();
    // Each attempt takes 30 seconds and ends 10 seconds after an answer.
    for (name, attempts, resumed, n) in [
        ("one less", max - 1, None, Some(max - 1)),
        ("as many", max, None, None),
        ("more", max + 5, None, None),
        ("resumed before the last two", max, Some(2), Some(2)),
    ] {
        for (other, in_a_row) in [(false, n), (true, Some(1))] {
            let ends = |k: u32| 30 * i64::from(k);
            let mut all: Vec<EndedAttempt> = (1..=attempts)
                .map(|k| ended_attempt(ends(k) - 30, ends(k), true))
                .collect();
            if other {
                // The last but one ended in another way.
                let last_but_one = all.len() - 2;
                all[last_but_one].is_outage = false;
            }
            let now = at(ends(attempts));
            let record = OutageRecord {
                attempts: &all,
                answered_at: Some(at(ends(attempts) - 10)),
                resumed_at: resumed.map(|last| at(ends(attempts - last) + 1)),
                spread: 0.0,
            };
            let expected = in_a_row.map_or(OutageStep::Stop, |n| OutageStep::TryAgain {
                at: now + pause_of(n),
                until: at(ends(attempts) - 10) + WAIT,
            });
            let step = outage_step(ErrorClass::Upstream5xx, record, now, WAIT);
            assert_eq!(step, expected, "{name}, another ending: {other}");
        }
    }
}

#[test]
fn an_outage_is_bounded_by_count_too() {
    let step = |n| {
        let quick = vec![ended_attempt(100, 101, true); n];
        let record = OutageRecord {
            attempts: &quick,
            answered_at: None,
            resumed_at: None,
            spread: 0.0,
        };
        let wait = Duration::from_hours(9);
        outage_step(ErrorClass::RateLimited, record, at(101), wait)
    };
    assert!(
        matches!(step(OUTAGE_ATTEMPTS_MAX - 1), OutageStep::TryAgain { at: next, .. } if next == at(161))
    );
    assert_eq!(step(OUTAGE_ATTEMPTS_MAX), OutageStep::Stop);
}

#[test]
fn a_call_that_is_turned_away_waits_and_then_is_saved() {
    for (since, next_at, expected) in [
        (None, Some(700), CallWait::Brief),
        (None, None, CallWait::Brief),
        (Some(100), Some(159), CallWait::Brief),
        (Some(100), Some(160), CallWait::Waiting),
        (Some(100), None, CallWait::Saved),
    ] {
        let wait = call_wait(since.map(at), next_at.map(at));
        assert_eq!(wait, expected, "{since:?} {next_at:?}");
    }
}

/// What follows on saved attempts that begin, end and are to wake at these times; `answered` is when the
/// provider last answered one.
fn saved_step(saved: &[(i64, i64, Option<i64>)], answered: Option<i64>, spread: f64) -> OutageStep {
    let of_times = |(began, ended, wakes): &(i64, i64, Option<i64>)| EndedAttempt {
        is_saved: true,
        wakes_at: wakes.map(at),
        ..ended_attempt(*began, *ended, true)
    };
    let attempts: Vec<_> = saved.iter().map(of_times).collect();
    let record = OutageRecord {
        attempts: &attempts,
        answered_at: answered.map(at),
        resumed_at: None,
        spread,
    };
    let now = saved.last().map_or(0, |last| last.1);
    outage_step(ErrorClass::RateLimited, record, at(now), WAIT)
}

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

#[test]
fn a_provider_that_names_its_reset_is_waited_for_until_then() {
    let again = |at_s, until_s| OutageStep::TryAgain {
        at: at(at_s),
        until: at(until_s),
    };
    let (five_hours, week) = (200 + 5 * HOUR, 200 + 7 * DAY);
    let window = |n: i64| (n * 5 * HOUR, n * 5 * HOUR + 200, Some((n + 1) * 5 * HOUR));
    let windows: Vec<_> = (0..40).map(window).collect();
    let last = 40 * 5 * HOUR;
    for (name, saved, answered, expected) in [
        (
            "in 5 hours",
            vec![(100, 200, Some(five_hours))],
            None,
            again(five_hours, five_hours + 900),
        ),
        (
            "in 7 days",
            vec![(100, 200, Some(week))],
            None,
            again(week, week + 900),
        ),
        (
            "later than any window",
            vec![(100, 200, Some(week + 1))],
            None,
            OutageStep::Stop,
        ),
        (
            "in a few seconds",
            vec![(0, 600, Some(620))],
            None,
            again(620, 620 + 900),
        ),
        (
            "in a few seconds, and that for the third time",
            vec![
                (0, 600, Some(620)),
                (720, 1_320, Some(1_340)),
                (1_560, 2_160, Some(2_180)),
            ],
            None,
            again(2_160 + 480, 2_160 + 480 + 900),
        ),
        (
            "time and again without an answer",
            windows[..OUTAGE_ATTEMPTS_MAX].to_vec(),
            None,
            OutageStep::Stop,
        ),
        (
            "it works well in each of many windows",
            windows,
            Some(39 * 5 * HOUR + 100),
            again(last, last + 900),
        ),
    ] {
        assert_eq!(saved_step(&saved, answered, 0.0), expected, "{name}");
    }
}

#[test]
fn a_failure_among_saved_attempts_does_not_end_the_night() {
    let saved = |began, ended| EndedAttempt {
        is_saved: true,
        ..ended_attempt(began, ended, true)
    };
    let attempts = [
        saved(0, 600),
        saved(720, 1_320),
        ended_attempt(1_560, 1_600, true),
    ];
    let record = OutageRecord {
        attempts: &attempts,
        answered_at: None,
        resumed_at: None,
        spread: 0.0,
    };
    let step = outage_step(ErrorClass::Upstream5xx, record, at(1_600), WAIT);
    assert!(matches!(step, OutageStep::TryAgain { .. }), "{step:?}");
}

#[test]
fn saved_work_outlasts_a_night_and_is_tried_ever_more_seldom() {
    let mut saved = vec![(0, 600, None)];
    let mut pauses = Vec::new();
    while let OutageStep::TryAgain { at: next, until } = saved_step(&saved, None, 0.0) {
        let ended = saved[saved.len() - 1].1;
        let next = next.as_micros() / 1_000_000;
        assert_eq!(until, at(DAY), "for a day");
        pauses.push((next - ended) / 60);
        saved.push((next, next + 600, None));
    }
    assert_eq!(pauses[..7], [2, 4, 8, 16, 32, 60, 60]);
    assert!(saved[saved.len() - 1].1 > 16 * HOUR, "{saved:?}");
    assert_eq!(saved.len(), OUTAGE_ATTEMPTS_MAX);
    // An answer begins it anew.
    let answered = saved.last().map(|last| last.0 + 5);
    let (_, ended, _) = saved[saved.len() - 1];
    let OutageStep::TryAgain { at: next, .. } = saved_step(&saved, answered, 0.0) else {
        unreachable!("it goes on");
    };
    assert_eq!(next, at(ended + 120));
}

#[test]
fn whoever_wants_no_waiting_is_asked_at_once() {
    let saved = EndedAttempt {
        is_saved: true,
        ..ended_attempt(0, 600, true)
    };
    let record = OutageRecord {
        attempts: &[saved],
        answered_at: None,
        resumed_at: None,
        spread: 0.0,
    };
    let step = outage_step(ErrorClass::RateLimited, record, at(600), Duration::ZERO);
    assert_eq!(step, OutageStep::Stop);
}

#[test]
fn those_that_wait_for_one_time_do_not_all_wake_at_once() {
    let wakes = |wakes, spread| match saved_step(&[(0, 0, wakes)], None, spread) {
        OutageStep::TryAgain { at, .. } => at,
        OutageStep::Stop => Timestamp::default(),
    };
    assert_eq!(wakes(Some(5 * HOUR), 0.5), at(5 * HOUR + 30));
    assert_eq!(wakes(None, 0.5), at(126));
}

#[test]
fn failures_of_the_provider_say_nothing_about_the_work() {
    let ours: Vec<&str> = ErrorClass::ALL
        .iter()
        .filter(|class| is_provider_failure(**class))
        .map(|class| class.as_str())
        .collect();
    assert_eq!(
        ours,
        [
            "upstream_5xx",
            "rate_limited",
            "upstream_refused",
            "model_declined",
            "tools_in_words",
            "auth_failed"
        ]
    );
}
