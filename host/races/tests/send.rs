//! Sending, coming back and cancelling: exactly one party goes on with the request, and never while somebody is inside a cancel call that was
//! meant for the sending before (R-CAN-74).
//!
//! What is explored is `wdf`'s own `request/state.rs`, with the completion routine and the canceller of `request/sent.rs` retold.

// What `state.rs` finds in the module above it.
use loom::sync::atomic;

#[path = "../../../crates/wdf/src/request/state.rs"]
#[expect(dead_code, reason = "parking is explored in `park.rs`")]
mod state;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;
use state::{Generation, State};

#[derive(Default)]
struct Bed {
    state: State,
    /// How many are inside `WdfRequestCancelSentRequest`.
    inside: Mutex<u32>,
    /// Sendings that were canceled.
    canceled: Mutex<Vec<u64>>,
    /// What the completion routine leaves. Not atomic, as in `Left`.
    left: UnsafeCell<u32>,
    /// How often somebody went on with it. Not atomic: two owners at once are a data race.
    owned: UnsafeCell<u32>,
}

#[expect(unsafe_code, reason = "the way loom hands out a checked cell")]
fn add(cell: &UnsafeCell<u32>) {
    cell.with_mut(|value| {
        // SAFETY: the cell is alive; exclusive, or loom has reported it.
        unsafe {
            *value += 1;
        };
    });
}

#[expect(unsafe_code, reason = "the way loom hands out a checked cell")]
fn get(cell: &UnsafeCell<u32>) -> u32 {
    cell.with(|value| {
        // SAFETY: the cell is alive; nobody writes, or loom has reported it.
        unsafe { *value }
    })
}

impl Bed {
    /// Somebody owns the request again, and could send it anew.
    fn owns(&self) {
        assert_eq!(
            *self.inside.lock().unwrap(),
            0,
            "a cancellation of the sending before is still under way"
        );
        add(&self.owned);
    }

    /// The completion routine.
    fn comes_back(&self) {
        if !self.state.returned() {
            add(&self.left);
            if self.state.leave() {
                return;
            }
        }
        self.owns();
    }

    /// `SentToken::cancel`, of sending number `nth`.
    fn cancel(&self, sending: Generation, nth: u64) {
        let back = self.state.cancel_sent(sending, || {
            *self.inside.lock().unwrap() += 1;
            self.canceled.lock().unwrap().push(nth);
            *self.inside.lock().unwrap() -= 1;
        });
        if back {
            assert_eq!(get(&self.left), 1, "what the routine came with");
            self.owns();
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

/// R-CAN-81.
#[test]
fn of_a_completion_and_a_canceller_one_goes_on_with_the_request() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        let sending = bed.state.sent();
        let canceller = spawn(&bed, move |bed| bed.cancel(sending, 1));
        bed.comes_back();
        canceller.join().unwrap();
        assert_eq!(get(&bed.owned), 1);
    });
}

/// A token and a stop handler at once: the second finds it being canceled.
#[test]
fn two_cancellers_and_a_completion_leave_one_owner() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        let sending = bed.state.sent();
        let token = spawn(&bed, move |bed| bed.cancel(sending, 1));
        let stop = spawn(&bed, |bed| bed.cancel(bed.state.current(), 1));
        bed.comes_back();
        token.join().unwrap();
        stop.join().unwrap();
        assert_eq!(get(&bed.owned), 1);
    });
}

/// R-CAN-74: the token of a sending that is over cancels nothing.
#[test]
fn a_late_token_does_not_cancel_the_next_sending() {
    explore(|| {
        let bed = Arc::new(Bed::default());
        let first = bed.state.sent();
        assert!(bed.state.returned());
        let second = bed.state.sent();
        let late = spawn(&bed, move |bed| bed.cancel(first, 1));
        let timely = spawn(&bed, move |bed| bed.cancel(second, 2));
        bed.comes_back();
        late.join().unwrap();
        timely.join().unwrap();
        assert!(!bed.canceled.lock().unwrap().contains(&1));
        assert_eq!(get(&bed.owned), 1);
    });
}
