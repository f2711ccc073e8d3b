//! `planted.sys` makes one mistake at a time; each must end the run with a report that names what it broke, or show in
//! the leak report.
//!
//! Without the framework verifier the framework does not look for most of these mistakes, and what follows is undefined:
//! drydock stops (the statements of group G.4). With it, the framework breaks and says so (G.3).

mod cancel;
mod kernel;
mod objects;
mod requests;
mod send;

use crate::bed::*;
use drydock::stack::Stack;

const PLANT: u32 = code(0, BUFFERED);
const PLANT_DIRECT: u32 = code(1, OUT_DIRECT);
const WAITING: u32 = code(2, BUFFERED);

/// The framework verifier off and on.
const OFF: bool = false;
const ON: bool = true;

/// The filter with the mistakes, over a device whose reads end only when they are canceled.
fn planted(verified: bool) -> (Stack, File) {
    verifier(verified);
    let stack = build("TEST", &["wdm-until-canceled", "planted"]);
    let file = open("TestUntilCanceled");
    (stack, file)
}

/// Makes a mistake that must end the run, with all of `parts` in the report.
fn ends(mistake: &str, verified: bool, parts: &'static [&'static str]) {
    expect_end(parts);
    let (stack, file) = planted(verified);
    let done = file.control(PLANT, mistake.as_bytes(), 64);
    file.close();
    stack.remove().expect("the device goes, and its drivers");
    panic!("{mistake:?} was not noticed; the request ended with {done:?}");
}

/// Makes a mistake that must show in the leak report.
fn leaks(mistake: &str, parts: &[&str]) {
    let (stack, file) = planted(OFF);
    let done = file.control(PLANT, mistake.as_bytes(), 64);
    assert!(done.status.is_success(), "{done:?}");
    file.close();
    stack.remove().expect("the device goes");
    let report = drydock::verify::leak_report().to_string();
    for part in parts {
        assert!(report.contains(part), "{part} expected in:\n{report}");
    }
}

/// One test per mistake: its name in `planted.c`, the framework verifier, and what the report must contain.
macro_rules! caught {
    ($($(#[$doc:meta])* $test:ident: $mistake:literal, $verifier:ident => [$($part:literal),+];)+) => {
        rusty_fork::rusty_fork_test! {
            #![rusty_fork(timeout_ms = 30000)]
            $(
                $(#[$doc])*
                #[test]
                fn $test() {
                    super::ends($mistake, super::$verifier, &[$($part),+]);
                }
            )+
        }
    };
}
use caught;
