//! MDLs over pool and over user memory.

use super::*;
use crate::nt::abi::{read_bytes, write_bytes};
use crate::nt::memory::UserBuffer;
use crate::nt::pool::{self, PoolKind, Tag};
use crate::nt::{mdl, thread};
use rusty_fork::rusty_fork_test;

rusty_fork_test! {
    #[test]
    fn a_partial_mdl_shows_its_part_of_the_whole() {
        let block = pool::allocate(PoolKind::NonPaged, 10_000, Tag::new(b"Test"), true);
        let whole = mdl::allocate(block, 10_000, false, None);
        mdl::build_for_nonpaged(whole);
        let part_at = block.wrapping_add(5000);
        let part = mdl::allocate(part_at, 100, false, None);
        mdl::build_partial(whole, part, part_at, 100);
        write_bytes(mdl::system_address(part), b"here");
        assert_eq!(read_bytes(part_at, 4), b"here");
        mdl::free(part);
        mdl::free(whole);
        pool::free(block, None);
        assert_eq!(mdl::live(), (0, 0));
    }

    #[test]
    fn a_partial_mdl_beyond_its_source_is_a_violation() {
        let block = pool::allocate(PoolKind::NonPaged, 100, Tag::new(b"Test"), true);
        let whole = mdl::allocate(block, 100, false, None);
        mdl::build_for_nonpaged(whole);
        let part = mdl::allocate(block, 100, false, None);
        expect_violation("NT-MDL-05");
        mdl::build_partial(whole, part, block.wrapping_add(50), 51);
        panic!("nobody noticed");
    }

    #[test]
    fn user_pages_are_locked_in_their_own_process_only() {
        let process = Process::new("owner");
        let buffer = UserBuffer::with(b"user data", process.id());
        let list = mdl::allocate(buffer.user_address(), 9, false, None);
        assert_eq!(mdl::probe_and_lock(list, true, false), Err(NtStatus::ACCESS_VIOLATION));
        thread::current().in_process(&process, || mdl::probe_and_lock(list, true, false)).unwrap();
        assert_eq!(read_bytes(mdl::system_address(list), 9), b"user data");
        expect_violation("NT-MDL-01");
        mdl::free(list);
        panic!("nobody noticed");
    }

    #[test]
    fn paged_pool_at_dispatch_level_is_a_violation() {
        thread::current().raise(thread::DISPATCH_LEVEL);
        expect_violation("NT-IRQL-03");
        pool::allocate(PoolKind::Paged, 16, Tag::new(b"Test"), false);
        panic!("nobody noticed");
    }
}
