//! What a driver asks the system about its device and about who opened it.

use crate::bench::*;
use crate::targets::remote_target;
use drydock::kmdf::guest;
use drydock::nt::pnp;
use drydock::nt::registry::{self, Value};
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

const HARDWARE_ID: u64 = 1;
const FRIENDLY_NAME: u64 = 9;
const PHYSICAL_NAME: u64 = 0xb;
const ENUMERATOR: u64 = 0xf;

/// Asks for a property by a function that takes an object, the property, length, buffer and result length.
fn ask(function: &str, object: u64, property: u64) -> Result<String, NtStatus> {
    let (buffer, needed) = (words([0; 32]), words([0]));
    let short = wdf_status(function, &[object, property, 1, buffer, needed]);
    let status = wdf_status(function, &[object, property, 256, buffer, needed]);
    if !status.is_success() {
        assert_eq!(short, status);
        return Err(status);
    }
    assert_eq!(short, NtStatus::BUFFER_TOO_SMALL);
    let bytes = guest::bytes(buffer, guest::read::<u32>(needed) as usize);
    let units: Vec<u16> = bytes
        .chunks(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    Ok(String::from_utf16(&units).expect("text"))
}

rusty_fork_test! {
    #[test]
    fn a_device_is_asked_for_before_and_after_it_is_made() {
        let key = r"\Registry\Machine\System\CurrentControlSet\Enum\ROOT\BENCH\0000";
        registry::create(key);
        registry::set(key, Value::string("FriendlyName", "A bench")).expect("the key is there");
        let early = Log::default();
        let seen = early.clone();
        prepare(move |init| {
            let name = ask("WdfFdoInitQueryProperty", init, FRIENDLY_NAME);
            seen.add(name.expect("it has one"));
            let out = words([0]);
            let open = [init, 1, 0x2_0019, 0, out];
            assert_eq!(wdf_status("WdfFdoInitOpenRegistryKey", &open), NtStatus::SUCCESS);
            wdf("WdfRegistryClose", &[guest::read(out)]);
        });
        let bench = Bench::started(|_| {});
        assert_eq!(early.take(), ["A bench\0"]);
        let of_device = |property| ask("WdfDeviceQueryProperty", bench.device, property);
        assert_eq!(of_device(HARDWARE_ID).unwrap(), "ROOT\\BENCH\0\0");
        assert_eq!(of_device(ENUMERATOR).unwrap(), "ROOT\0");
        let name = drydock::nt::device::name(bench.node().physical()).unwrap();
        assert_eq!(of_device(PHYSICAL_NAME).unwrap(), format!("{name}\0"));
        assert_eq!(of_device(0xa), Err(NtStatus::OBJECT_NAME_NOT_FOUND), "nobody described the place");
        assert_eq!(of_device(0x40), Err(NtStatus::INVALID_PARAMETER_2));
        let target = wdf("WdfDeviceGetIoTarget", &[bench.device]);
        assert_eq!(ask("WdfIoTargetQueryTargetProperty", target, PHYSICAL_NAME).unwrap(), format!("{name}\0"));
        assert_eq!(pnp::instance(bench.node().physical()).unwrap(), "ROOT\\BENCH\\0000");
    }

    #[test]
    fn what_has_no_physical_device_has_no_properties() {
        let bench = Bench::control(|_| {});
        let refused = Err(NtStatus::INVALID_DEVICE_REQUEST);
        assert_eq!(ask("WdfDeviceQueryProperty", bench.device, HARDWARE_ID), refused);
        let target = remote_target(bench.device);
        assert_eq!(ask("WdfIoTargetQueryTargetProperty", target, HARDWARE_ID), refused);
    }

    #[test]
    fn a_file_object_names_the_process_that_opened_it() {
        prepare(|init| {
            let config = words([40, 0, 0, 0, 4 << 32 | 2]);
            wdf("WdfDeviceInitSetFileObjectConfig", &[init, config, 0]);
        });
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        let ids = Log::default();
        let seen = ids.clone();
        on("EvtIoRead", move |a| {
            let file = wdf("WdfRequestGetFileObject", &[a[1]]);
            let opener = wdf("WdfFileObjectGetInitiatorProcessId", &[file]) as u32;
            let requestor = wdf("WdfRequestGetRequestorProcessId", &[a[1]]) as u32;
            seen.add(format!("{opener} {requestor}"));
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        let handle = bench.open();
        let opener = handle.process().id();
        start(&handle, read(1)).wait();
        let other = drydock::nt::app::Process::new("other");
        start(&handle.duplicate(&other).expect("a duplicate"), read(1)).wait();
        assert_eq!(ids.take(), [format!("{opener} {opener}"), format!("{opener} {}", other.id())]);
    }
}
