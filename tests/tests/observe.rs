//! Observation: latencies, what is in flight, events by inverted calls (issue point 6).

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::control::{Action, EventKind, Measure, Place, Rule, ops};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, events};

const READ: Op = Op::Read {
    offset: 32,
    len: 16,
};

rusty_fork_test! {
    /// Nothing is recorded before somebody observes; from then on each completed request is in two histograms.
    #[test]
    fn latencies_are_recorded_while_the_device_is_observed() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        assert_eq!(device.read(0, 16).status, NtStatus::SUCCESS);
        assert_eq!(ferry.histogram(ops::READ, Measure::Below).count, 0);
        ferry.observe(true);
        device.set_latency(20);
        let _ = ferry.add(&Rule { milliseconds: 30, ..ferry.rule(ops::WRITE, Action::Delay) });
        assert_eq!(device.read(0, 16).status, NtStatus::SUCCESS);
        assert_eq!(device.write(0, &[1]).status, NtStatus::SUCCESS);
        let below = ferry.histogram(ops::READ, Measure::Below);
        assert_eq!((below.count, below.buckets.iter().sum::<u64>()), (1, 1));
        assert!(below.longest >= 150_000, "20 ms at pier: {} units", below.longest);
        let inside = ferry.histogram(ops::WRITE, Measure::Inside);
        assert!(inside.longest >= 250_000, "30 ms in ferry: {} units", inside.longest);
        assert!(ferry.histogram(ops::READ, Measure::Inside).longest < below.longest);
        device.close();
        ferry.close();
        bed.end();
    }

    /// Any number of waits, each answered with what the one before has not had, in order.
    #[test]
    fn pended_waits_get_every_event_once_and_in_order() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.observe(true);
        let waits: Vec<_> = (0..6).map(|_| ferry.wait_for_events(1)).collect();
        assert!(waits.iter().all(scenarios::Pending::is_pending));
        for _ in 0..2 {
            assert_eq!(device.start(READ).wait().status, NtStatus::SUCCESS);
        }
        let got: Vec<_> = waits.iter().flat_map(|wait| events(&wait.wait()).1).collect();
        let numbers: Vec<u64> = got.iter().map(|event| event.number).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        let kinds: Vec<_> = got.iter().filter_map(|event| EventKind::from_code(event.kind)).collect();
        use EventKind::{Arrived, Completed, Sent};
        assert_eq!(kinds, [Arrived, Sent, Completed, Arrived, Sent, Completed]);
        assert!(got.iter().all(|event| event.op == ops::READ && event.offset == 32 && event.length == 16));
        assert_eq!((got[2].information, got[0].request + 1), (16, got[3].request));
        // Between waits nothing is lost.
        assert_eq!(device.write(0, &[1]).status, NtStatus::SUCCESS);
        let (lost, more) = events(&ferry.wait_for_events(8).wait());
        assert_eq!((lost, more.len()), (0, 3));
        device.close();
        ferry.close();
        bed.end();
    }

    /// The ring keeps the last 1024 events; what went before is counted, not made up.
    #[test]
    fn events_that_nobody_fetched_in_time_are_counted_as_lost() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.observe(true);
        for _ in 0..500 {
            assert_eq!(device.write(0, &[1]).status, NtStatus::SUCCESS);
        }
        let (mut lost, mut seen) = (0, 0);
        while lost + seen < 1500 {
            let (missing, some) = events(&ferry.wait_for_events(16).wait());
            assert!(!some.is_empty());
            lost += missing;
            seen += some.len() as u64;
        }
        assert_eq!((lost, seen), (1500 - 1024, 1024));
        device.close();
        ferry.close();
        bed.end();
    }

    /// EvtIoCanceledOnQueue of the watchers queue, cleanup of the handle, and the end of the last filter device.
    #[test]
    fn a_wait_ends_by_cancel_by_its_handle_and_with_the_last_filter_device() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (ferry, other) = (program.open_ferry(), program.open_ferry());
        let early = ferry.wait_for_events(1);
        assert_eq!(early.wait().status, NtStatus::INVALID_DEVICE_STATE, "it observes nothing");
        ferry.observe(true);
        other.observe(true);
        assert_eq!(ferry.wait_for_events(0).wait().status, NtStatus::BUFFER_TOO_SMALL);
        let (canceled, closed, left) = (ferry.wait_for_events(1), ferry.wait_for_events(1), other.wait_for_events(1));
        assert!(ferry.cancel(&canceled));
        assert_eq!(canceled.wait().status, NtStatus::CANCELLED);
        assert!(closed.is_pending());
        ferry.close();
        assert_eq!(closed.wait().status, NtStatus::CANCELLED);
        assert!(left.is_pending());
        bed.stack.node().surprise_remove().expect("is removed");
        bed.stack.node().wait_removed();
        assert_eq!(left.wait().status, NtStatus::CANCELLED);
        assert!(!other.wait_for_events(1).wait().status.is_success());
        other.close();
        bed.end_after_removal();
    }

    /// The METHOD_NEITHER control: where each request is, and since when.
    #[test]
    fn the_table_says_where_every_request_in_flight_is() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let handles: Vec<_> = (0..5).map(|_| program.open_device()).collect();
        handles[0].set_latency(60_000);
        ferry.observe(true);
        let sized = |length, action| Rule { length_min: length, length_max: length, ..ferry.rule(ops::READ, action) };
        let hold = ferry.add(&sized(1, Action::Hold));
        let _ = ferry.add(&Rule { milliseconds: 60_000, ..sized(2, Action::Delay) });
        let _ = ferry.add(&sized(3, Action::Drop));
        ferry.limit(1);
        let reads: Vec<_> = (1..=5)
            .map(|len| handles[len as usize - 1].start(Op::Read { offset: 0, len }))
            .collect();
        let mut table = ferry.in_flight();
        table.sort_by_key(|entry| entry.length);
        let places: Vec<_> = table.iter().filter_map(|entry| Place::from_code(entry.place)).collect();
        assert_eq!(places, [Place::Held, Place::Delayed, Place::Dropped, Place::Below, Place::Backlog]);
        assert_eq!(table[0].rule, hold);
        assert!(table.iter().all(|entry| entry.op == ops::READ && entry.arrived <= entry.since));
        assert!(table.iter().all(|entry| entry.handle != 0 && entry.handle != table[4].handle || entry.length == 5));
        for (handle, read) in handles.iter().zip(&reads) {
            handle.cancel(read);
            assert_eq!(read.wait().status, NtStatus::CANCELLED);
        }
        assert_eq!(ferry.in_flight().len(), 0);
        for handle in handles {
            handle.close();
        }
        ferry.close();
        bed.end();
    }
}
