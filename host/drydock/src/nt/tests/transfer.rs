//! How data travels between programs and drivers.

use super::*;
use crate::nt::abi::{DO_BUFFERED_IO, DO_DIRECT_IO, read_bytes, write_bytes};
use crate::nt::app::Op;
use crate::nt::{mdl, memory, process};
use rusty_fork::rusty_fork_test;

const BUFFERED: u32 = 0x22_0000;
const IN_DIRECT: u32 = 0x22_0001;
const OUT_DIRECT: u32 = 0x22_0002;
const NEITHER: u32 = 0x22_0003;

fn control(code: u32, input: &[u8], output_len: u32) -> Op {
    Op::Ioctl {
        code,
        input: input.to_vec(),
        output_len,
    }
}

/// Answers every control with `status`, `information` and ten bytes of `b'x'` where they fit.
fn answering(status: NtStatus, information: u64) -> Arc<Handle> {
    let device = Device::named("T", 0);
    device.on(mj::DEVICE_CONTROL, move |_, request| {
        let room = irp::current(request).output_length().min(10) as usize;
        write_bytes(at(request).system_buffer.get(), &[b'x'; 10][..room]);
        complete(request, status, information)
    });
    open("T").1
}

rusty_fork_test! {
    #[test]
    fn a_buffered_control_shares_one_buffer_for_input_and_output() {
        let device = Device::named("T", 0);
        device.on(mj::DEVICE_CONTROL, |_, request| {
            let location = irp::current(request);
            assert_eq!((location.input_length(), location.output_length()), (3, 5));
            let buffer = at(request).system_buffer.get();
            assert_eq!(read_bytes(buffer, 3), b"abc");
            assert!(at(request).mdl_address.get().is_null());
            assert!(!memory::is_user_address(buffer));
            write_bytes(buffer, b"ABCD");
            complete(request, NtStatus::SUCCESS, 4)
        });
        let done = open("T").1.run(control(BUFFERED, b"abc", 5));
        assert_eq!((done.status, done.information, done.data), (NtStatus::SUCCESS, 4, b"ABCD".to_vec()));
    }

    #[test]
    fn a_buffered_control_that_fails_gives_no_data_and_a_warning_does() {
        let handle = answering(NtStatus::BUFFER_OVERFLOW, 2);
        assert_eq!(handle.run(control(BUFFERED, b"", 8)).data, b"xx");
        let device = Address(device::attached_top(crate::nt::namespace::resolve("\\??\\T").unwrap().0.get()));
        Device(device).on(mj::DEVICE_CONTROL, |_, request| complete(request, NtStatus::UNSUCCESSFUL, 2));
        let done = handle.run(control(BUFFERED, b"", 8));
        assert_eq!((done.status, done.data.len()), (NtStatus::UNSUCCESSFUL, 0));
    }

    #[test]
    fn information_beyond_the_output_buffer_is_a_violation() {
        let handle = answering(NtStatus::SUCCESS, 9);
        expect_violation("NT-IRP-13");
        handle.run(control(BUFFERED, b"", 8));
        panic!("nobody noticed");
    }

    #[test]
    fn a_direct_control_describes_the_programs_output_pages() {
        let device = Device::named("T", 0);
        device.on(mj::DEVICE_CONTROL, |_, request| {
            let list = at(request).mdl_address.get();
            assert_eq!(read_bytes(at(request).system_buffer.get(), 2), b"in");
            assert_eq!(at(list).byte_count.get(), 6);
            let mapped = mdl::system_address(list);
            assert!(!memory::is_user_address(mapped));
            assert!(memory::is_user_address(mdl::virtual_address(list)));
            write_bytes(mapped, b"direct");
            complete(request, NtStatus::SUCCESS, 6)
        });
        let (_process, handle) = open("T");
        for code in [IN_DIRECT, OUT_DIRECT] {
            assert_eq!(handle.run(control(code, b"in", 6)).data, b"direct");
        }
        assert_eq!(mdl::live(), (0, 0));
    }

    #[test]
    fn a_control_of_method_neither_carries_user_addresses_of_its_process() {
        let device = Device::named("T", 0);
        device.on(mj::DEVICE_CONTROL, |_, request| {
            let input = irp::current(request).type3_input_buffer();
            let output = at(request).user_buffer.get();
            assert!(at(request).system_buffer.get().is_null());
            let me = process::current_id();
            assert!(memory::is_accessible(input, 3, me) && memory::is_accessible(output, 4, me));
            assert!(!memory::is_accessible(input, 4, me), "the page behind the buffer");
            assert!(!memory::is_accessible(input, 3, me + 4), "another process");
            write_bytes(output, &read_bytes(input, 3));
            complete(request, NtStatus::SUCCESS, 3)
        });
        assert_eq!(open("T").1.run(control(NEITHER, b"abc", 4)).data, b"abc");
    }

    #[test]
    fn reads_and_writes_go_by_the_flags_of_the_top_device() {
        for (name, flags) in [("Buffered", DO_BUFFERED_IO), ("Direct", DO_DIRECT_IO), ("Neither", 0)] {
            let device = Device::named(name, flags);
            let memory = Arc::new(Lock::new(Vec::new()));
            let (written, read) = (Arc::clone(&memory), memory);
            let buffer = move |request: *mut Irp| match flags {
                DO_BUFFERED_IO => at(request).system_buffer.get(),
                DO_DIRECT_IO => mdl::system_address(at(request).mdl_address.get()),
                _ => at(request).user_buffer.get(),
            };
            device.on(mj::WRITE, move |_, request| {
                let location = irp::current(request);
                assert_eq!(location.byte_offset(), 7);
                let data = read_bytes(buffer(request), location.length() as usize);
                let count = data.len() as u64;
                *written.lock() = data;
                complete(request, NtStatus::SUCCESS, count)
            });
            device.on(mj::READ, move |_, request| {
                let data = read.lock().clone();
                write_bytes(buffer(request), &data);
                complete(request, NtStatus::SUCCESS, data.len() as u64)
            });
            let (_process, handle) = open(name);
            assert_eq!(handle.run(Op::Write { offset: 7, data: b"some data".to_vec() }).information, 9);
            assert_eq!(handle.run(Op::Read { offset: 0, len: 100 }).data, b"some data", "{name}");
        }
        assert_eq!(mdl::live(), (0, 0));
    }

    #[test]
    fn a_request_of_no_bytes_has_no_buffers() {
        let device = Device::named("T", DO_DIRECT_IO);
        for major in [mj::READ, mj::WRITE, mj::DEVICE_CONTROL] {
            device.on(major, |_, request| {
                let view = at(request);
                assert!(view.mdl_address.get().is_null() && view.system_buffer.get().is_null());
                complete(request, NtStatus::SUCCESS, 0)
            });
        }
        let (_process, handle) = open("T");
        for op in [Op::Read { offset: 0, len: 0 }, Op::Write { offset: 0, data: Vec::new() }, control(BUFFERED, b"", 0), control(OUT_DIRECT, b"", 0)] {
            assert_eq!(handle.run(op).status, NtStatus::SUCCESS);
        }
    }

    #[test]
    fn a_handle_that_may_only_read_cannot_write_nor_send_controls_that_write() {
        Device::named("T", 0);
        let process = Process::new("reader");
        let handle = process.open("\\\\.\\T", 0x8000_0000, 3).unwrap();
        assert_eq!(handle.run(Op::Write { offset: 0, data: vec![1] }).status, NtStatus::ACCESS_DENIED);
        assert_eq!(handle.run(control(BUFFERED | 2 << 14, b"", 0)).status, NtStatus::ACCESS_DENIED);
        assert_eq!(handle.run(control(BUFFERED | 1 << 14, b"", 0)).status, NtStatus::SUCCESS);
        assert_eq!(handle.run(Op::Read { offset: 0, len: 4 }).status, NtStatus::SUCCESS);
    }
}
