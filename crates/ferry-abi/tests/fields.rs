//! Every field a controller can get wrong is named by the check of its structure.

use ferry_abi::control::{
    Action, CERTAIN, Invalid, Limit, MAX_DELAY_MS, MAX_LIMIT, Probe, Rule, Split, SplitMode,
    matching, ops,
};
use ferry_abi::pier::IOCTL_PIER_ECHO_NEITHER;

fn refused(change: impl FnOnce(&mut Rule), action: Action) -> Option<Invalid> {
    let mut rule = Rule::every(1, ops::READ, action);
    change(&mut rule);
    rule.check().err()
}

fn field(invalid: Option<Invalid>) -> Option<&'static str> {
    invalid.map(|invalid| invalid.field)
}

#[test]
fn a_plain_rule_of_every_action_is_accepted() {
    for action in Action::EVERY {
        let mut rule = Rule::every(1, ops::READ, *action);
        if *action == Action::Fail {
            rule.status = 0xC000_0185;
        }
        rule.bytes = u32::from(*action == Action::Split) * 4096;
        assert_eq!(rule.check(), Ok(()), "{action:?}");
    }
}

#[test]
fn a_rule_names_the_field_that_is_wrong() {
    use Action::{Delay, Fail, Hold, Pass, Shorten, Split, Truncate};
    let cases: &[(&str, Option<Invalid>)] = &[
        ("id", refused(|rule| rule.id = 1, Pass)),
        ("reserved", refused(|rule| rule.reserved = 1, Pass)),
        ("reserved", refused(|rule| rule.reserved2 = 1, Pass)),
        ("ops", refused(|rule| rule.ops = 0, Pass)),
        ("ops", refused(|rule| rule.ops = 16, Pass)),
        ("ops", refused(|rule| rule.ops = ops::INTERNAL, Hold)),
        ("ops", refused(|rule| rule.ops = ops::WRITE, Truncate)),
        ("ops", refused(|rule| rule.ops = ops::CONTROL, Shorten)),
        ("matching", refused(|rule| rule.matching = 16, Pass)),
        (
            "matching",
            refused(|rule| rule.matching = matching::NOT_USER, Pass),
        ),
        ("code", refused(|rule| rule.code = 0x22_2000, Pass)),
        (
            "length_max",
            refused(|rule| (rule.length_min, rule.length_max) = (2, 1), Pass),
        ),
        (
            "offset_max",
            refused(|rule| (rule.offset_min, rule.offset_max) = (2, 1), Pass),
        ),
        (
            "probability",
            refused(|rule| rule.probability = CERTAIN + 1, Pass),
        ),
        ("action", refused(|rule| rule.action = 8, Pass)),
        ("order", refused(|rule| rule.order = 2, Delay)),
        ("order", refused(|rule| rule.order = 1, Hold)),
        (
            "milliseconds",
            refused(|rule| rule.milliseconds = MAX_DELAY_MS + 1, Delay),
        ),
        ("milliseconds", refused(|rule| rule.milliseconds = 1, Pass)),
        ("status", refused(|_| {}, Fail)),
        ("status", refused(|rule| rule.status = 0x103, Fail)),
        ("status", refused(|rule| rule.status = 0xC000_0016, Fail)),
        ("status", refused(|rule| rule.status = 0xC000_0001, Pass)),
        ("bytes", refused(|_| {}, Split)),
        ("bytes", refused(|rule| rule.bytes = 1, Hold)),
    ];
    for (at, (want, got)) in cases.iter().enumerate() {
        assert_eq!(field(*got), Some(*want), "case {at}");
    }
}

/// filter-rules 3: a NEITHER control is never carried, so no rule can act on it.
#[test]
fn a_rule_for_a_neither_control_is_not_supported() {
    for action in Action::EVERY {
        let mut rule = Rule::every(1, ops::CONTROL, *action);
        rule.code = IOCTL_PIER_ECHO_NEITHER.0;
        let refused = rule.check().expect_err("is refused");
        assert_eq!(
            (refused.field, refused.unsupported),
            ("code", true),
            "{action:?}"
        );
    }
}

#[test]
fn settings_and_probes_name_the_field_that_is_wrong() {
    let stream = ferry_abi::control::split_flags::STREAM;
    let parallel = SplitMode::Parallel.code();
    let cases = [
        ("limit", Limit::new(1, MAX_LIMIT + 1, 0, 0).check()),
        ("matching", Limit::new(1, 1, 16, 0).check()),
        ("mode", Split::new(1, 4096, 2, 1, 0, 0, 0).check()),
        ("depth", Split::new(1, 4096, 0, 2, 0, 0, 0).check()),
        (
            "flags",
            Split::new(1, 4096, parallel, 2, stream, 0, 0).check(),
        ),
        ("max_transfer", Split::new(1, 1000, 0, 1, 0, 0, 512).check()),
        ("op", Probe::new(1, ops::WRITE, 0, 0, 0, 1, 0).check()),
        ("code", Probe::new(1, ops::READ, 0, 0, 5, 1, 0).check()),
        (
            "timeout_ms",
            Probe::new(1, ops::READ, 0, 16, 0, 0, 0).check(),
        ),
        ("length", Probe::new(1, ops::READ, 0, 8192, 0, 1, 0).check()),
    ];
    for (want, got) in cases {
        assert_eq!(field(got.err()), Some(want), "{want}");
    }
    assert_eq!(Split::new(1, 0, 0, 0, 0, 0, 0).check(), Ok(()));
}
