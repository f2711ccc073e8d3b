//! Binding: what `spec/abi-facts.md` says of clients of all versions.

use super::super::{bind, callback, guest, table};
use super::bench::{memory, text};

/// Binds a client of KMDF 1.`minor` that asks for `count` entries; gives the status, the table and the globals.
fn attempt(minor: u32, count: u32) -> (u32, u64, u64) {
    let info = memory(48);
    let room = memory(8 * 444);
    let globals = memory(8);
    guest::write(info, 48_u32);
    guest::write(info + 16, 1_u32);
    guest::write(info + 20, minor);
    guest::write(info + 28, count);
    guest::write(info + 32, room);
    let driver_object = memory(0x150);
    let function = bind::lookup("WDFLDR.SYS", "WdfVersionBind").unwrap() as u64;
    let path = text("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\Bench");
    let status = callback::call(function, &[driver_object, path, info, globals]);
    (status as u32, room, guest::read(globals))
}

#[test]
fn a_client_of_a_newer_minor_version_is_refused() {
    assert_eq!(attempt(99, 444).0, 0xC000_0024);
}

#[test]
fn a_table_size_that_was_never_released_is_refused() {
    assert_eq!(attempt(15, 443).0, 0xC000_000D);
    assert_eq!(attempt(15, 445).0, 0xC000_000D);
}

#[test]
fn old_clients_get_a_copy_of_the_table_and_new_ones_its_address() {
    let (status, room, _) = attempt(9, 396);
    assert_eq!(status, 0);
    let addresses = table::addresses(458);
    assert_eq!(guest::read::<u64>(room), addresses[0] as u64);
    assert_eq!(guest::read::<u64>(room + 8 * 395), addresses[395] as u64);
    assert_eq!(guest::read::<u64>(room + 8 * 396), 0);
    for (minor, count) in [(15, 444), (31, 458)] {
        let (status, room, _) = attempt(minor, count);
        assert_eq!(status, 0);
        let table: u64 = guest::read(room);
        assert_eq!(
            guest::read::<u64>(table + 8 * u64::from(count - 1)),
            addresses[count as usize - 1] as u64
        );
    }
}

#[test]
fn globals_carry_the_drivers_name_and_no_driver_yet() {
    let (status, _, globals) = attempt(15, 444);
    assert_eq!(status, 0);
    assert_eq!(guest::read::<u64>(globals), 0);
    assert_eq!(guest::c_string(globals + 16), "Bench");
    assert_eq!(guest::read::<u8>(globals + 48), 0);
}
