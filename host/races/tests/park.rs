//! Parking, cancelling and taking back: exactly one party ends the request, in every schedule
//! with few preemptions and under every reordering the memory model allows.
//!
//! What is explored is `wdf`'s own `request/state.rs`. The framework around it is a few lines: marked or not, canceled or not, under one
//! lock, the callback called outside it (R-CAN-23, R-CAN-30, R-CAN-31).

// What `state.rs` finds in the module above it.
use loom::sync::atomic;

#[path = "../../../crates/wdf/src/request/state.rs"]
#[expect(
    dead_code,
    reason = "being sent is one store before and one after, no protocol"
)]
mod state;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;
use state::{Claimed, Generation, State};

/// What the framework knows of the request.
#[derive(Default)]
struct Mark {
    cancelable: bool,
    canceled: bool,
}

/// A request, and a list it may be on.
#[derive(Default)]
struct Bed {
    state: State,
    mark: Mutex<Mark>,
    listed: Mutex<Option<Generation>>,
    /// How often it was ended. Not atomic: two owners at once, or one that does not see what the one before it did, are a data race.
    ended: UnsafeCell<u32>,
}

impl Bed {
    /// `WdfRequestMarkCancelableEx`: false if it is canceled already.
    fn mark(&self) -> bool {
        let mut mark = self.mark.lock().unwrap();
        mark.cancelable = !mark.canceled;
        mark.cancelable
    }

    /// `WdfRequestUnmarkCancelable`: false if the callback has been or will be called.
    fn unmark(&self) -> bool {
        std::mem::take(&mut self.mark.lock().unwrap().cancelable)
    }

    /// Its owner ends it.
    fn end(&self) {
        self.ended.with_mut(|ended| {
            // A raw pointer of loom's, which has just checked that nobody else is at it.
            #[expect(unsafe_code, reason = "the way loom hands out a checked cell")]
            // SAFETY: the cell is alive; exclusive, or loom has reported it.
            unsafe {
                *ended += 1;
            };
        });
    }

    /// `Request::park`: the token, or nothing if the cancellation was met and the request ended.
    fn park(&self) -> Option<Generation> {
        let parking = self.state.filling();
        if !self.mark() {
            self.state.idle();
            self.end();
            return None;
        }
        if !self.state.marked(parking) {
            self.end();
            return None;
        }
        Some(parking)
    }

    /// It is parked, and `ParkedList::insert` puts the token on a list.
    fn park_and_list(&self) {
        let Some(token) = self.park() else {
            return;
        };
        let mut listed = self.listed.lock().unwrap();
        if self.state.is_parked(token) {
            *listed = Some(token);
        }
    }

    /// The originator cancels: `EvtRequestCancel` runs if it was marked, and takes the token off the list if it owns the request.
    fn cancel(&self) {
        let called = {
            let mut mark = self.mark.lock().unwrap();
            mark.canceled = true;
            std::mem::take(&mut mark.cancelable)
        };
        if called && self.state.callback() {
            *self.listed.lock().unwrap() = None;
            self.end();
        }
    }

    /// `Parked::unpark`, whose handler ends it.
    fn unpark(&self, token: Generation) -> bool {
        self.end_if(&self.state.claim(token, || self.unmark()))
    }

    /// A stop handler claims whatever it finds, and ends it.
    fn stop(&self) -> bool {
        self.end_if(&self.state.claim_any(|| self.unmark()))
    }

    fn end_if(&self, claimed: &Claimed) -> bool {
        match claimed {
            Claimed::Owned | Claimed::Canceled => {
                self.end();
                true
            }
            Claimed::No => false,
        }
    }

    /// The pump takes the token off the list, and the request back.
    fn pump(&self) {
        let token = self.listed.lock().unwrap().take();
        if let Some(token) = token {
            self.unpark(token);
        }
    }

    fn times_ended(&self) -> u32 {
        self.ended.with(|ended| {
            #[expect(unsafe_code, reason = "the way loom hands out a checked cell")]
            // SAFETY: the cell is alive; nobody writes, or loom has reported it.
            unsafe {
                *ended
            }
        })
    }
}

/// Explores every schedule with at most three preemptions: without a bound three parties take hours, and a bound of two finds the known
/// mistakes already.
fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(scenario);
}

fn race(parties: &'static [fn(&Bed)], after: fn(&Bed)) {
    explore(move || {
        let bed = Arc::new(Bed::default());
        let threads: Vec<_> = parties
            .iter()
            .map(|party| {
                let bed = Arc::clone(&bed);
                thread::spawn(move || party(&bed))
            })
            .collect();
        for one in threads {
            one.join().unwrap();
        }
        after(&bed);
    });
}

/// A callback that comes before, while or after it is parked (R-CAN-23, R-CAN-41).
#[test]
fn a_cancel_while_it_is_being_parked_ends_it_once() {
    race(&[Bed::park_and_list, Bed::cancel], |bed| {
        assert_eq!(bed.times_ended(), 1);
    });
}

/// A stop handler that comes too early finds nothing and somebody is still there to end it (P-04).
#[test]
fn of_parking_cancelling_and_stopping_exactly_one_ends_it() {
    race(
        &[Bed::park_and_list, Bed::cancel, |bed| {
            bed.stop();
        }],
        |bed| assert_eq!(bed.times_ended(), 1),
    );
}

/// A pump that comes too early leaves the token for the next time it looks.
#[test]
fn of_parking_cancelling_and_pumping_exactly_one_ends_it() {
    race(&[Bed::park_and_list, Bed::cancel, Bed::pump], |bed| {
        bed.pump();
        assert_eq!(bed.times_ended(), 1);
    });
}

/// An alarm, a stop handler and a cancellation at once (R-CAN-32, R-QUE-127).
#[test]
fn two_finishers_and_a_cancel_end_it_once() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        let token = bed.park().unwrap();
        let others: Vec<_> = [false, true]
            .into_iter()
            .map(|cancels| {
                let bed = Arc::clone(&bed);
                thread::spawn(move || {
                    if cancels {
                        bed.cancel();
                    } else {
                        bed.stop();
                    }
                })
            })
            .collect();
        bed.unpark(token);
        for one in others {
            one.join().unwrap();
        }
        assert_eq!(bed.times_ended(), 1);
    });
}

/// Without a cancellation one of two finishers gets it, and no finisher is told it failed when nobody else has it.
#[test]
fn one_of_two_finishers_takes_it_back() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        let token = bed.park().unwrap();
        let other = {
            let bed = Arc::clone(&bed);
            thread::spawn(move || bed.stop())
        };
        let mine = bed.unpark(token);
        assert!(other.join().unwrap() != mine);
        assert_eq!(bed.times_ended(), 1);
    });
}

/// The order in `ParkedList::insert`: looked at under the list's lock, which the cancel handler takes afterwards.
#[test]
fn no_token_stays_on_the_list_of_a_request_its_cancel_handler_ended() {
    race(&[Bed::park_and_list, Bed::cancel], |bed| {
        assert!(bed.listed.lock().unwrap().is_none());
    });
}

/// A stop handler requeues a parked request (R-QUE-124); it is presented anew and parked again, while the finisher of the first
/// parking is on its way. Whatever that one gets, it is not the second parking.
#[test]
fn a_token_takes_nothing_back_from_a_later_parking() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        let first = bed.park().unwrap();
        let stopper = {
            let bed = Arc::clone(&bed);
            thread::spawn(move || {
                let claimed = bed.state.claim_any(|| bed.unmark());
                matches!(claimed, Claimed::Owned)
                    .then(|| bed.park())
                    .flatten()
            })
        };
        let taken = bed.unpark(first);
        let second = stopper.join().unwrap();
        assert!(taken != second.is_some());
        if let Some(second) = second {
            assert!(!bed.unpark(first), "an old token");
            assert!(bed.unpark(second));
        }
        assert_eq!(bed.times_ended(), 1);
    });
}
