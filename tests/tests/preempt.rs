//! Orders of accesses to memory inside image code: mistakes that lie between two calls of an image, where plain exploring sees none.

use drydock::explore::strategy::{DepthFirst, Pct, RandomWalk, Strategy};
use drydock::explore::{self, Explored, Limits, Plan, Race, Recording, Summary};
use drydock::loader;
use rusty_fork::rusty_fork_test;
use scenarios::image;

/// A read or write is started while another one runs, and whatever is left is canceled.
fn two_at_once(driver: &str, operation: &str, preempt: &[&str]) -> Plan {
    Plan {
        race: Race::StartCancel,
        images: vec![image(driver)],
        instance: r"ROOT\EXPLORED\0000".to_owned(),
        open: None,
        before: Vec::new(),
        request: operation.to_owned(),
        against: vec![operation.to_owned()],
        slack_us: 0,
        unload: true,
        verifier: false,
        kmdf_minor: 33,
        preempt: preempt.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A read waits; it is canceled while a control finishes it.
fn cancel_against_finish(driver: &str, preempt: &[&str]) -> Plan {
    Plan {
        race: Race::Cancel,
        against: vec!["ioctl:0x222000".to_owned()],
        ..two_at_once(driver, "read:16", preempt)
    }
}

fn machine(plan: &Plan) -> Result<Explored, String> {
    let inside = plan.clone();
    Explored::prepare(Box::new(move || inside.run()))
}

fn explored(plan: &Plan, strategy: impl Strategy + 'static, limits: Limits) -> Summary {
    let summary = machine(plan)
        .and_then(|mut machine| machine.explore(Box::new(strategy), limits, &mut |_, _| {}));
    match summary {
        Ok(summary) => summary,
        Err(reason) => panic!("{reason}"),
    }
}

const fn up_to(schedules: u64) -> Limits {
    Limits {
        schedules,
        keep_going: false,
        check: false,
    }
}

fn headlines(summary: &Summary) -> Vec<&str> {
    summary
        .findings
        .iter()
        .map(|(finding, _)| finding.headline())
        .collect()
}

rusty_fork_test! {
    /// Every order of the calls is right: nothing is found, and that says little.
    #[test]
    fn a_check_before_a_store_is_not_seen_between_calls() {
        let plan = two_at_once("c/unlocked.sys", "read:16", &[]);
        let summary = explored(&plan, DepthFirst::new(None), up_to(100_000));
        assert!(summary.complete && summary.findings.is_empty(), "{summary:?}");
        assert_eq!(loader::preempted(), None);
    }

    #[test]
    fn a_check_before_a_store_is_found_inside_its_function() {
        let plan = two_at_once("c/unlocked.sys", "read:16", &["Take", "Release"]);
        let summary = explored(&plan, DepthFirst::new(Some(2)), up_to(20_000));
        let found = headlines(&summary);
        assert_eq!(found.len(), 1, "{summary:?}");
        assert!(found[0].contains("R-OBJ-03") || found[0].contains("R-REQ"), "{found:?}");
        let preempted = loader::preempted().unwrap_or_default();
        assert_eq!(preempted.functions, ["unlocked!Take", "unlocked!Release"]);
        assert_eq!(preempted.accesses, 4, "{preempted:?}");
    }

    /// `inc` and `dec` of memory are one instruction, and two accesses to every other processor.
    #[test]
    fn an_addition_without_a_lock_loses_one() {
        let plan = two_at_once("c/unlocked.sys", "write:00", &["Enter", "Leave"]);
        let summary = explored(&plan, RandomWalk::new(1), up_to(2_000));
        let found = headlines(&summary);
        assert!(found.len() == 1 && found[0].starts_with("BUG CHECK 0xE2"), "{summary:?}");
        let preempted = loader::preempted().unwrap_or_default();
        assert_eq!((preempted.accesses, preempted.halves), (2, 2));
    }

    #[test]
    fn a_finding_inside_image_code_is_the_same_when_it_is_replayed() {
        let plan = two_at_once("c/unlocked.sys", "read:16", &["unlocked!Take", "unlocked!Release"]);
        let mut machine = match machine(&plan) {
            Ok(machine) => machine,
            Err(reason) => panic!("{reason}"),
        };
        let strategy = Box::new(Pct::new(3, 1));
        let summary = match machine.explore(strategy, up_to(5_000), &mut |_, _| {}) {
            Ok(summary) => summary,
            Err(reason) => panic!("{reason}"),
        };
        let Some((finding, _)) = summary.findings.first() else {
            panic!("not found: {summary:?}");
        };
        let recording = Recording::new(&plan, finding.choices.clone(), finding.digest, None, "PCT".to_owned());
        let replayed = recording.and_then(|recording| machine.replay(&recording));
        match replayed {
            Ok((report, events)) => {
                assert_eq!(report.as_ref(), Some(&finding.report));
                let svg = explore::draw(&events, "unlocked", report.as_deref());
                assert!(svg.contains("unlocked!Take"), "the accesses are drawn: {svg}");
            }
            Err(reason) => panic!("{reason}"),
        }
    }

    /// All of a driver's code, and every schedule twice.
    #[test]
    fn schedules_with_preemption_everywhere_are_deterministic() {
        let plan = two_at_once("c/unlocked.sys", "read:16", &["*"]);
        let limits = Limits { schedules: 500, keep_going: true, check: true };
        let summary = explored(&plan, RandomWalk::new(7), limits);
        assert_eq!(summary.schedules, 500);
    }

    /// wdf's own protocol, on atomics whose exchange is a look and a store.
    #[test]
    fn the_park_protocol_on_broken_atomics_is_right_in_every_order_of_calls() {
        let plan = cancel_against_finish("rust/naive.sys", &[]);
        let summary = explored(&plan, DepthFirst::new(None), up_to(100_000));
        assert!(summary.complete && summary.findings.is_empty(), "{summary:?}");
    }

    #[test]
    fn the_park_protocol_on_broken_atomics_is_found_inside_the_image() {
        let plan = cancel_against_finish("rust/naive.sys", &["evt_request_cancel", "evt_io_control"]);
        let summary = explored(&plan, DepthFirst::new(Some(2)), up_to(20_000));
        let found = headlines(&summary);
        assert!(found.len() == 1 && found[0].contains("R-"), "{summary:?}");
    }

    /// R-CAN-32, R-CAN-34. The same race on wdf's own cell, in every order of accesses with up to three interruptions.
    #[test]
    fn wdfs_park_protocol_survives_every_order_of_accesses() {
        let plan = cancel_against_finish("rust/parking.sys", &["*"]);
        let summary = explored(&plan, DepthFirst::new(Some(2)), up_to(400_000));
        assert!(summary.findings.is_empty(), "{:?}", headlines(&summary));
        assert!(summary.exhausted, "the bound was not reached: {summary:?}");
        assert_eq!(summary.outcomes.len(), 2, "both must win: {:?}", summary.outcomes);
    }

    #[test]
    fn wdfs_park_protocol_survives_random_orders_of_accesses() {
        let plan = cancel_against_finish("rust/parking.sys", &["*"]);
        let summary = explored(&plan, RandomWalk::new(1), up_to(10_000));
        assert!(summary.findings.is_empty(), "{:?}", headlines(&summary));
    }

    #[test]
    fn a_function_nobody_has_is_refused_with_what_is_near() {
        let refused = machine(&two_at_once("c/unlocked.sys", "read:16", &["Tak"])).err();
        let text = refused.unwrap_or_default();
        assert!(text.contains("near it: Take"), "{text}");
    }
}
