//! `manual.sys`: readers and writers that wait for each other in manual queues.

use crate::bed::*;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;
use std::sync::Arc;

const STATISTICS: u32 = code(0, BUFFERED);
const SUSPEND: u32 = code(1, BUFFERED);
const RESUME: u32 = code(2, BUFFERED);

#[derive(Debug)]
struct Statistics {
    readers: u32,
    writers: u32,
    met: u32,
    ready_calls: u32,
    canceled_on_queue: u32,
}

fn statistics(file: &File) -> Statistics {
    let [readers, writers, met, ready_calls, canceled_on_queue] = file.numbers(STATISTICS);
    Statistics {
        readers,
        writers,
        met,
        ready_calls,
        canceled_on_queue,
    }
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60000)]

    /// R-QUE-96, R-QUE-99: find by parameters, then retrieve exactly that request.
    #[test]
    fn a_writer_meets_the_reader_of_its_channel_and_no_other() {
        let stack = start(&["manual"]);
        let file = open("TestManual");
        let readers: Vec<_> = (0..3).map(|channel| file.start_read(channel, 32)).collect();
        let done = file.write(1, b"to channel one");
        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 14));
        assert_eq!(readers[1].wait().data, b"to channel one");
        assert!(readers[0].is_pending() && readers[2].is_pending());
        let now = statistics(&file);
        assert_eq!((now.readers, now.writers, now.met), (2, 0, 1));
        for (channel, reader) in [(2, &readers[2]), (0, &readers[0])] {
            assert_eq!(file.write(channel, b"x").status, NtStatus::SUCCESS);
            assert_eq!(reader.wait().data, b"x");
        }
        file.close();
        end(stack);
    }

    /// R-QUE-97: what a found request asks for is told as it was in the queue, however soon a cancellation takes it from there.
    #[test]
    fn a_request_that_is_canceled_while_it_is_found_is_described_as_it_was() {
        let stack = start(&["manual"]);
        let file = open("TestManual");
        let canceling = std::sync::atomic::AtomicU32::new(4);
        std::thread::scope(|scope| {
            let canceling = &canceling;
            for _ in 0..4 {
                scope.spawn(move || {
                    let file = open("TestManual");
                    for channel in 0..5_000 {
                        let readers: Vec<_> =
                            (0..8).map(|more| file.start_read(channel % 7 + more, 4)).collect();
                        for reader in &readers {
                            file.cancel(reader);
                            assert_eq!(reader.wait().status, NtStatus::CANCELLED);
                        }
                    }
                    file.close();
                    canceling.fetch_sub(1, std::sync::atomic::Ordering::AcqRel);
                });
            }
            // Looks at every reader there is: none is on its channel.
            while canceling.load(std::sync::atomic::Ordering::Acquire) != 0 {
                let writer = file.start_write(100, b"x");
                file.cancel(&writer);
                assert_eq!(writer.wait().status, NtStatus::CANCELLED);
            }
        });
        file.close();
        end(stack);
    }

    #[test]
    fn a_writer_that_comes_first_waits_for_its_reader() {
        let stack = start(&["manual"]);
        let file = open("TestManual");
        let writer = file.start_write(7, b"early");
        assert_eq!(statistics(&file).writers, 1);
        assert_eq!(file.read(7, 3).data, b"ear");
        assert_eq!(writer.wait().information, 3);
        file.close();
        end(stack);
    }

    /// R-CAN-11: a request that has been with the driver is given back to it when it is canceled in a queue.
    #[test]
    fn cancel_of_a_waiting_reader_goes_through_canceled_on_queue() {
        let stack = start(&["manual"]);
        let file = open("TestManual");
        let reader = file.start_read(1, 8);
        file.cancel(&reader);
        assert_eq!(reader.status(), NtStatus::CANCELLED);
        assert_eq!(statistics(&file).canceled_on_queue, 1);
        file.close();
        end(stack);
    }

    /// R-CAN-60, R-CAN-14: closing the handle cancels its waiting requests, not those of others.
    #[test]
    fn closing_a_handle_ends_its_own_waiting_requests_only() {
        let stack = start(&["manual"]);
        let (mine, other) = (open("TestManual"), open("TestManual"));
        let reader = mine.start_read(1, 8);
        let kept = other.start_read(2, 8);
        mine.close();
        assert_eq!(reader.status(), NtStatus::CANCELLED);
        assert!(kept.is_pending());
        assert_eq!(other.write(2, b"still there").status, NtStatus::SUCCESS);
        assert_eq!(kept.wait().data, b"still th");
        other.close();
        end(stack);
    }

    /// R-QUE-112: from empty to not empty, not once per request.
    #[test]
    fn the_ready_notification_comes_once_per_filling_of_the_queue() {
        let stack = start(&["manual"]);
        let file = open("TestManual");
        let readers: Vec<_> = (0..3).map(|channel| file.start_read(channel, 1)).collect();
        assert_eq!(statistics(&file).ready_calls, 1);
        for (channel, reader) in (0..).zip(&readers) {
            assert_eq!(file.write(channel, b"x").status, NtStatus::SUCCESS);
            assert_eq!(reader.status(), NtStatus::SUCCESS);
        }
        let again = file.start_read(0, 1);
        assert_eq!(statistics(&file).ready_calls, 2);
        file.cancel(&again);
        assert_eq!(again.status(), NtStatus::CANCELLED);
        file.close();
        end(stack);
    }

    /// R-QUE-92, R-QUE-73: a stopped queue takes requests in and gives none out; R-QUE-115: started, it notifies again.
    #[test]
    fn a_stopped_queue_keeps_its_readers_until_it_is_started() {
        let stack = start(&["manual"]);
        let file = open("TestManual");
        file.tell(SUSPEND, &[]);
        let reader = file.start_read(1, 4);
        let writer = file.start_write(1, b"late");
        let now = statistics(&file);
        assert_eq!((now.readers, now.writers, now.met, now.ready_calls), (1, 1, 0, 0));
        file.tell(RESUME, &[]);
        assert_eq!(reader.wait().data, b"late");
        assert_eq!(writer.status(), NtStatus::SUCCESS);
        assert_eq!(statistics(&file).ready_calls, 1);
        file.close();
        end(stack);
    }

    /// R-REQ-01: whatever meets, is canceled or is closed at the same time, every request ends once.
    #[test]
    fn many_threads_meet_cancel_and_close_and_nothing_is_lost() {
        const THREADS: i64 = 4;
        const ROUNDS: i64 = 100;
        let stack = start(&["manual"]);
        let program = Arc::new(Program::new());
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let program = Arc::clone(&program);
                std::thread::spawn(move || {
                    let file = program.open("TestManual");
                    let mut all = Vec::new();
                    for round in 0..ROUNDS {
                        let channel = (thread + round) % 5;
                        all.push(file.start_read(channel, 4));
                        all.push(file.start_write((channel + 1) % 5, b"data"));
                        if round % 3 == 0 {
                            file.cancel(&all[all.len() / 2]);
                        }
                    }
                    file.close();
                    for pending in all {
                        let status = pending.status();
                        assert!(matches!(status, NtStatus::SUCCESS | NtStatus::CANCELLED), "{status}");
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("the thread's requests all ended");
        }
        let file = open("TestManual");
        let now = statistics(&file);
        assert_eq!((now.readers, now.writers), (0, 0));
        assert!(now.met > 0);
        file.close();
        end(stack);
    }
}
