//! Programs at work, several at a time.

use super::super::traffic::{End, Program};
use super::Session;
use crate::sched::{self, JoinHandle};
use crate::verify::{self, LowResources};
use std::sync::Arc;

/// Programs work until the time is up; half of them are killed at the end, the others close and exit.
pub(super) fn run(session: &Arc<Session>, threads: u64) {
    join(start(session, threads));
}

/// Starts the threads of [`run`].
pub(super) fn start(session: &Arc<Session>, threads: u64) -> Vec<JoinHandle> {
    (0..threads)
        .map(|number| {
            let session = Arc::clone(session);
            sched::spawn(&format!("program {number}"), move || work(&session, number))
        })
        .collect()
}

/// Waits for the threads of a phase.
pub(super) fn join(threads: Vec<JoinHandle>) {
    let _waiting = verify::waiting(|| "the programs of this phase".to_owned());
    for thread in threads {
        thread.join();
    }
}

fn work(session: &Session, number: u64) {
    let mut rng = session.rng(number);
    while !session.is_over() {
        if session.is_held() {
            pause();
            continue;
        }
        let Some(mut program) = Program::open(session, &mut rng) else {
            session.counts.add("rounds without an open", 1);
            pause();
            continue;
        };
        for _ in 0..rng.u32(1..400) {
            if session.is_over() || session.is_held() {
                break;
            }
            program.step(session, &mut rng);
        }
        let how = if rng.bool() {
            End::Orderly
        } else {
            End::Killed
        };
        program.end(session, how);
    }
}

/// Lets other threads run for a moment: there is nothing to do now.
pub(super) fn pause() {
    sched::Event::new(true, false).wait_timeout(20_000);
}

/// Programs work while calls fail at random. The driver has started before.
pub(super) fn low_resources(session: &Arc<Session>) {
    let mut settings = verify::settings().clone();
    settings.low_resources = LowResources::Random {
        seed: session.seed,
        one_in: 17,
        spare: 0,
    };
    verify::configure(settings.clone());
    run(session, 3);
    settings.low_resources = LowResources::Never;
    session
        .counts
        .add("calls that could fail", verify::failable_calls());
    verify::configure(settings);
}
