//! A slot: what is put in comes out once, to one party.

// What `slot.rs` finds in the module above it.
use loom::sync::atomic;

#[path = "../../../crates/wdf/src/request/slot.rs"]
#[expect(unsafe_code, reason = "its place is shared between parties")]
mod slot;

use loom::sync::Arc;
use loom::thread;
use slot::Slot;

#[test]
fn two_takers_do_not_get_the_same_value() {
    loom::model(|| {
        let slot = Arc::new(Slot::new());
        assert!(slot.put(Box::new(7)).is_ok());
        let other = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.take())
        };
        let taken = [slot.take(), other.join().unwrap()];
        assert_eq!(taken.into_iter().flatten().count(), 1);
    });
}

#[test]
fn a_value_that_meets_a_taker_is_taken_or_there() {
    loom::model(|| {
        let slot = Arc::new(Slot::new());
        let taker = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.take())
        };
        assert!(slot.put(Box::new(7)).is_ok());
        let taken = [taker.join().unwrap(), slot.take()];
        assert_eq!(taken.into_iter().flatten().count(), 1);
    });
}

#[test]
fn of_two_values_one_goes_in_and_the_other_comes_back() {
    loom::model(|| {
        let slot = Arc::new(Slot::new());
        let other = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.put(Box::new(8)).is_ok())
        };
        let one = slot.put(Box::new(7)).is_ok();
        assert!(one ^ other.join().unwrap());
        assert!(slot.take().is_some());
    });
}
