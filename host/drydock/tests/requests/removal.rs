//! The device behind a remote target goes away.

use crate::bench::*;
use crate::lower;
use crate::targets::{created, send};
use drydock::kmdf::guest;
use drydock::nt::driver;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

const STARTED: u64 = 1;
const CLOSED_FOR_QUERY_REMOVE: u64 = 3;
const CLOSED: u64 = 4;

/// A target opened by the name of [`lower::stack`], with the driver's callbacks or without.
fn target_by_name(device: u64, callbacks: bool) -> u64 {
    let (status, target) = out(|out| wdf_status("WdfIoTargetCreate", &[device, 0, out]));
    assert_eq!(status, NtStatus::SUCCESS);
    let name = driver::unicode_string(lower::NAME) as u64;
    let mut params = [0; 17];
    params[0] = 136 | 2 << 32;
    if callbacks {
        params[1] = address!(evt_query_remove);
        params[2] = address!(evt_remove_canceled);
        params[3] = address!(evt_remove_complete);
    }
    params[6] = guest::read(name);
    params[7] = guest::read(name + 8);
    params[8] = 0xC000_0000 | 7 << 32;
    assert_eq!(
        wdf_status("WdfIoTargetOpen", &[target, words(params)]),
        NtStatus::SUCCESS
    );
    target
}

fn reopen(target: u64) -> NtStatus {
    let mut params = [0; 17];
    params[0] = 136 | 3 << 32;
    wdf_status("WdfIoTargetOpen", &[target, words(params)])
}

fn state(target: u64) -> u64 {
    wdf("WdfIoTargetGetState", &[target])
}

rusty_fork_test! {
    /// R-TGT-09: without callbacks the framework closes for the query, opens again when it is withdrawn, and closes at the
    /// removal.
    #[test]
    fn the_framework_follows_a_removal_where_the_driver_does_not() {
        let node = lower::stack();
        let bench = Bench::control(|_| {});
        let target = target_by_name(bench.device, false);
        node.query_remove().expect("nobody has it open any more");
        assert_eq!(state(target), CLOSED_FOR_QUERY_REMOVE);
        node.cancel_remove().expect("it stays");
        assert_eq!(state(target), STARTED);
        node.remove().expect("it goes");
        assert_eq!(state(target), CLOSED);
        assert_eq!(reopen(target), NtStatus::OBJECT_NAME_NOT_FOUND);
    }

    /// R-TGT-09: the driver's callbacks take the place of the framework's; a refusal keeps the device.
    #[test]
    fn a_driver_that_is_asked_can_refuse_and_hears_what_became_of_it() {
        let node = lower::stack();
        let bench = Bench::control(|_| {});
        let target = target_by_name(bench.device, true);
        let log = Log::default();
        let (asked, canceled, gone) = (log.clone(), log.clone(), log.clone());
        let answer = Cell::default();
        let say = answer.clone();
        on("EvtIoTargetQueryRemove", move |a| {
            asked.add("query");
            if say.get() == 0 {
                wdf("WdfIoTargetCloseForQueryRemove", &[a[0]]);
            }
            say.get()
        });
        on("EvtIoTargetRemoveCanceled", move |_| { canceled.add("canceled"); 0 });
        on("EvtIoTargetRemoveComplete", move |a| {
            gone.add("complete");
            wdf("WdfIoTargetClose", &[a[0]]);
            0
        });
        answer.set(NtStatus::UNSUCCESSFUL.0 as u32 as u64);
        assert_eq!(node.query_remove(), Err(NtStatus::UNSUCCESSFUL));
        assert_eq!(log.take(), ["query", "canceled"]);
        assert_eq!(state(target), STARTED);
        answer.set(0);
        node.query_remove().expect("the driver agrees");
        node.cancel_remove().expect("it stays");
        assert_eq!(log.take(), ["query", "canceled"]);
        assert_eq!(state(target), CLOSED_FOR_QUERY_REMOVE, "opening again is the driver's business");
        assert_eq!(reopen(target), NtStatus::SUCCESS);
        node.remove().expect("it goes");
        assert_eq!(log.take(), ["query", "complete"]);
        assert_eq!(state(target), CLOSED);
    }

    /// R-TGT-09: a driver that has a query-remove callback must close itself; else its open handle keeps the device.
    #[test]
    fn a_driver_that_agrees_without_closing_keeps_the_device() {
        let node = lower::stack();
        let bench = Bench::control(|_| {});
        let target = target_by_name(bench.device, true);
        assert_eq!(node.remove(), Err(NtStatus::DEVICE_BUSY));
        assert_eq!(state(target), STARTED);
        wdf("WdfIoTargetClose", &[target]);
        node.remove().expect("nobody has it open");
    }

    /// R-TGT-28
    #[test]
    fn a_target_whose_device_is_pulled_is_closed_and_its_requests_come_back() {
        let node = lower::stack();
        let bench = Bench::control(|_| {});
        let target = target_by_name(bench.device, false);
        let log = Log::default();
        let seen = log.clone();
        on("completion routine", move |a| {
            seen.add(NtStatus(guest::read::<i32>(a[2] + 8)).to_string());
            0
        });
        let request = created(target);
        send(request, target, 0);
        assert_eq!(lower::held(), 1);
        node.surprise_remove().expect("it was started");
        assert_eq!(log.take(), [NtStatus::CANCELLED.to_string()]);
        assert_eq!(state(target), CLOSED);
        node.wait_removed();
    }

    /// R-TGT-26: closed, a target hears no more of the device it was open on.
    #[test]
    fn a_closed_target_is_not_asked() {
        let node = lower::stack();
        let bench = Bench::control(|_| {});
        let target = target_by_name(bench.device, true);
        on("EvtIoTargetQueryRemove", |_| panic!("the target is closed"));
        wdf("WdfIoTargetClose", &[target]);
        node.remove().expect("nobody has it open");
    }
}
