//! What neither ferry nor pier needs by nature, shown by `showcase.sys` (tests/drivers/showcase) over pier.

use drydock::nt::app::{Completion, Op};
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};

/// Images from the function driver up.
const STACK: &[&str] = &["pier.sys", "rust/showcase.sys"];

// As in the driver.
const FORMAT: u32 = 1;
const POLL: u32 = 2;
const WAIT: u32 = 3;
const COUNTS: u32 = 4;

fn op(number: u32, input: u32, output_len: u32) -> Op {
    Op::Ioctl {
        code: 0x22 << 16 | (0xB00 + number) << 2,
        input: input.to_le_bytes().to_vec(),
        output_len,
    }
}

fn control(file: &Session, number: u32, input: u32) -> Completion {
    file.start(op(number, input, 0)).wait()
}

/// Sub-requests of polls, cancellations told of, requests put back, requests that wait.
fn counts(file: &Session) -> Vec<u32> {
    let done = file.start(op(COUNTS, 0, 16)).wait();
    let (words, _) = done.data.as_chunks::<4>();
    words.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

rusty_fork_test! {
    /// R-TGT-30: formats with memory of the driver's own. R-TGT-32: a request that is sent again is formatted again. R-REQ-96: whoever made a request deletes it; the leak report says so.
    #[test]
    fn requests_of_the_drivers_own_are_made_formatted_sent_and_deleted() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        assert_eq!(file.write(0, &[7; 64]).status, NtStatus::SUCCESS);
        for way in [0, 1, 2] {
            for _ in 0..20 {
                assert_eq!(control(&file, FORMAT, way).status, NtStatus::SUCCESS, "way {way}");
            }
        }
        // Read into the driver's memory, and written from there.
        assert_eq!(file.read(0, 64).data, [7; 64]);
        file.close();
        bed.end();
    }

    /// Flush, query and set information by a stack location; pier refuses all three, and its answer comes up.
    #[test]
    fn flush_query_and_set_information_reach_the_lower_driver_for_the_file_of_the_caller() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        for way in [3, 4, 5] {
            let done = control(&file, FORMAT, way);
            assert_eq!(done.status, NtStatus::INVALID_DEVICE_REQUEST, "way {way}");
        }
        assert_eq!(control(&file, FORMAT, 9).status, NtStatus::INVALID_PARAMETER);
        file.close();
        bed.end();
    }

    /// R-CAN-52: a hint, looked at between sub-requests.
    #[test]
    fn a_driver_that_looks_between_its_sub_requests_stops_when_its_request_is_canceled() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        assert_eq!(control(&file, POLL, 3).status, NtStatus::SUCCESS);
        assert_eq!(counts(&file)[0], 3);
        file.set_latency(5);
        let polling = file.start(op(POLL, 100_000, 0));
        while counts(&file)[0] < 6 {
            std::thread::yield_now();
        }
        assert!(file.cancel(&polling));
        assert_eq!(polling.wait().status, NtStatus::CANCELLED);
        assert!(counts(&file)[0] < 100_000);
        file.close();
        bed.end();
    }

    /// R-CAN-11, R-CAN-12: forwarded or put back, told of through EvtIoCanceledOnQueue if the queue has it, else ended by the framework.
    #[test]
    fn a_request_that_waits_in_a_queue_is_canceled_with_and_without_being_told_of() {
        let bed = Bed::of(STACK);
        let file = Program::new().open_device();
        for (place, told, put_back) in [(0, 1, 0), (1, 1, 0), (2, 2, 1), (3, 2, 2)] {
            let waiting = file.start(op(WAIT, place, 0));
            assert_eq!(counts(&file)[3], 1, "place {place}");
            assert!(file.cancel(&waiting), "place {place}");
            assert_eq!(waiting.wait().status, NtStatus::CANCELLED, "place {place}");
            assert_eq!(counts(&file)[1..], [told, put_back, 0], "place {place}");
        }
        file.close();
        bed.end();
    }
}
