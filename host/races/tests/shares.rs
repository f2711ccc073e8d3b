//! Lending a request: the last share back, or its cancellation, ends it, exactly once and with nobody looking (P-05, P-07).
//!
//! What is explored is `wdf`'s own `request/shares.rs`. The framework around it is the one of `park.rs`.

// What `shares.rs` finds in the module above it.
use loom::sync::atomic;

#[path = "../../../crates/wdf/src/request/shares.rs"]
mod shares;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;
use shares::{Back, Shares};

/// What the framework knows of the request.
#[derive(Default)]
struct Mark {
    cancelable: bool,
    canceled: bool,
}

#[derive(Default)]
struct Bed {
    shares: Shares,
    mark: Mutex<Mark>,
    /// The request: looked at by whoever holds a share, written by whoever ends it. Not atomic: ending it under somebody's eyes is a race.
    ended: UnsafeCell<u32>,
    told: Mutex<bool>,
}

impl Bed {
    #[expect(unsafe_code, reason = "the way loom hands out a checked cell")]
    fn end(&self) {
        self.ended.with_mut(|ended| {
            // SAFETY: the cell is alive; exclusive, or loom has reported it.
            unsafe {
                *ended += 1;
            };
        });
    }

    #[expect(unsafe_code, reason = "the way loom hands out a checked cell")]
    fn look(&self) -> u32 {
        self.ended.with(|ended| {
            // SAFETY: the cell is alive; nobody writes, or loom has reported it.
            unsafe { *ended }
        })
    }

    /// `Request::share_cancelable`: false if the cancellation was met, and the request ended.
    fn lend(&self) -> bool {
        self.shares.lend(true);
        let marked = {
            let mut mark = self.mark.lock().unwrap();
            mark.cancelable = !mark.canceled;
            mark.cancelable
        };
        if !marked {
            self.shares.take_back();
            self.end();
        }
        marked
    }

    /// `Share::finish`.
    fn give_back(&self) {
        assert_eq!(self.look(), 0);
        let back = self
            .shares
            .give_back(|| std::mem::take(&mut self.mark.lock().unwrap().cancelable));
        match back {
            Back::Owned => {
                assert!(!*self.told.lock().unwrap(), "told, and not canceled");
                self.end();
            }
            Back::Canceled => {
                assert!(*self.told.lock().unwrap(), "canceled, and nobody told");
                self.end();
            }
            Back::No => {}
        }
    }

    /// The originator cancels: `EvtRequestCancel` runs if it was marked.
    fn cancel(&self) {
        let called = {
            let mut mark = self.mark.lock().unwrap();
            mark.canceled = true;
            std::mem::take(&mut mark.cancelable)
        };
        if called {
            assert_eq!(self.look(), 0);
            *self.told.lock().unwrap() = true;
            if self.shares.told() {
                self.end();
            }
        }
    }
}

fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(scenario);
}

fn spawn(bed: &Arc<Bed>, party: impl Fn(&Bed) + 'static) -> thread::JoinHandle<()> {
    let bed = Arc::clone(bed);
    thread::spawn(move || party(&bed))
}

/// R-CAN-23, R-CAN-27: the callback may come before the request is seen to be lent.
#[test]
fn a_cancel_while_it_is_being_lent_ends_it_once() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        let cancel = spawn(&bed, Bed::cancel);
        if bed.lend() {
            bed.give_back();
        }
        cancel.join().unwrap();
        assert_eq!(bed.look(), 1);
    });
}

/// R-CAN-30, R-CAN-31, R-CAN-32.
#[test]
fn of_two_shares_and_the_mark_exactly_one_ends_it() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        assert!(bed.lend());
        assert!(bed.shares.another());
        let cancel = spawn(&bed, Bed::cancel);
        let other = spawn(&bed, Bed::give_back);
        bed.give_back();
        cancel.join().unwrap();
        other.join().unwrap();
        assert_eq!(bed.look(), 1);
    });
}

/// Not cancelable: as `Arc::into_inner`.
#[test]
fn the_last_of_two_shares_ends_it() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        bed.shares.lend(false);
        assert!(bed.shares.another());
        let other = spawn(&bed, Bed::give_back);
        bed.give_back();
        other.join().unwrap();
        assert_eq!(bed.look(), 1);
    });
}
