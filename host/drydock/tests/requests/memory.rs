//! Programs' memory, as drivers reach it.

use crate::bench::*;
use drydock::kmdf::guest;
use drydock::nt::abi::at;
use drydock::nt::app::Op;
use drydock::nt::memory::is_user_address;
use drydock::nt::status::NtStatus;
use drydock::sched;
use rusty_fork::rusty_fork_test;

const NEITHER: u32 = 0x22_2003;
const IN_DIRECT: u32 = 0x22_2001;
const BUFFERED: u32 = 0x22_2000;

fn control(code: u32, input: &[u8], output: &[u8]) -> Op {
    Op::IoctlWith {
        code,
        input: input.to_vec(),
        output: output.to_vec(),
    }
}

/// A device that remembers where the input of a METHOD_NEITHER control is, and keeps the request.
fn remembering() -> (Bench, Cell) {
    let place = Cell::default();
    let keep = place.clone();
    on("EvtIoInCallerContext", move |a| {
        let (status, buffer) = out(|out| {
            wdf_status(
                "WdfRequestRetrieveUnsafeUserInputBuffer",
                &[a[1], 4, out, 0],
            )
        });
        assert_eq!(status, NtStatus::SUCCESS);
        assert!(is_user_address(buffer as *const u8));
        assert_eq!(
            guest::read::<u32>(buffer),
            0x0403_0201,
            "in the program's own context"
        );
        keep.set(buffer);
        wdf("WdfDeviceEnqueueRequest", &[a[0], a[1]]);
        0
    });
    let bench = Bench::control(|device| {
        queue(device, PARALLEL);
    });
    (bench, place)
}

rusty_fork_test! {
    /// R-REQ-74: the address means something in the context of the caller, and only there.
    #[test]
    fn a_users_address_touched_in_a_system_thread_ends_the_run() {
        must_end("R-REQ-74");
        let (bench, place) = remembering();
        start(&bench.open(), control(NEITHER, &[1, 2, 3, 4], &[]));
        assert_ne!(place.get(), 0);
        sched::spawn("system thread", move || { guest::read::<u32>(place.get()); }).join();
        panic!("the read went through");
    }

    /// R-REQ-74: another program's thread is no better than a system thread.
    #[test]
    fn a_users_address_touched_for_another_program_ends_the_run() {
        must_end("R-REQ-74");
        let (bench, place) = remembering();
        start(&bench.open(), control(NEITHER, &[1, 2, 3, 4], &[]));
        on("EvtIoRead", move |_| u64::from(guest::read::<u32>(place.get())));
        // Reads pass the caller-context callback, too.
        on("EvtIoInCallerContext", |a| wdf("WdfDeviceEnqueueRequest", &[a[0], a[1]]));
        start(&bench.open(), read(1));
        panic!("the read went through");
    }

    /// R-REQ-71: with direct I/O the driver looks at the program's own pages, which the program goes on writing; buffered data
    /// is a copy.
    #[test]
    fn a_program_changes_a_direct_buffer_under_the_driver_and_not_a_copy() {
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        let log = Log::default();
        let seen = log.clone();
        on("EvtIoDeviceControl", move |a| {
            if a[4] as u32 == IN_DIRECT {
                let (status, mapped) = out(|out| wdf_status("WdfRequestRetrieveOutputBuffer", &[a[1], 1, out, 0]));
                assert_eq!(status, NtStatus::SUCCESS);
                let before = guest::read::<u8>(mapped);
                // What another thread of the program does meanwhile.
                guest::write(at(irp(a[1])).user_buffer.get() as u64, 9_u8);
                seen.add(format!("direct {before} {}", guest::read::<u8>(mapped)));
            } else {
                let (status, copy) = out(|out| wdf_status("WdfRequestRetrieveInputBuffer", &[a[1], 1, out, 0]));
                assert_eq!(status, NtStatus::SUCCESS);
                seen.add(format!("buffered: a user's address {}", is_user_address(copy as *const u8)));
            }
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        let handle = bench.open();
        start(&handle, control(IN_DIRECT, &[], &[5])).wait();
        start(&handle, control(BUFFERED, &[5], &[])).wait();
        assert_eq!(log.take(), ["direct 5 9", "buffered: a user's address false"]);
    }
}
