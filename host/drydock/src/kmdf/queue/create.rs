//! Making queues (B.1 of the specification).

use std::collections::VecDeque;

use super::super::attributes::{Attributes, ParentRule, Rules};
use super::super::device::Device;
use super::super::guest;
use super::super::handle::Ref;
use super::super::lifetime;
use super::super::object;
use super::constraints::Constraints;
use super::{Deletion, Dispatching, List, Power, Queue, QueueConfig, State};
use crate::nt::status::NtStatus;
use crate::sched::{Event, Lock};

/// Reads a client's configuration.
fn read_config(address: u64) -> Result<QueueConfig, NtStatus> {
    let size = guest::read::<u32>(address);
    let accepted = QueueConfig::accepted_size(size)?;
    let word = |offset: u64| guest::read::<u64>(address + offset) as usize;
    Ok(QueueConfig {
        size,
        dispatch_type: guest::read(address + 4),
        power_managed: guest::read(address + 8),
        allow_zero_length: guest::read(address + 12),
        default_queue: guest::read(address + 13),
        evt_default: word(16),
        evt_read: word(24),
        evt_write: word(32),
        evt_device_control: word(40),
        evt_internal_device_control: word(48),
        evt_stop: word(56),
        evt_resume: word(64),
        evt_canceled_on_queue: word(72),
        presented_limit: if accepted > 80 {
            guest::read(address + 80)
        } else {
            0
        },
        driver: if accepted > 88 { word(88) as u64 } else { 0 },
    })
}

/// `WdfIoQueueCreate`.
pub(super) fn create(
    device: &Ref<Device>,
    config: u64,
    attributes: u64,
    wants_handle: bool,
) -> Result<Ref<Queue>, NtStatus> {
    let config = read_config(config)?;
    let is_default = config.default_queue != 0;
    if !wants_handle && !is_default {
        return Err(NtStatus::INVALID_PARAMETER_4); // R-QUE-03
    }
    let attributes = Attributes::read(
        attributes,
        Rules {
            parent: ParentRule::Optional,
            level: true,
            scope: true,
        },
    )?;
    // R-QUE-13
    let parent = match &attributes.parent {
        None => device.object().clone(),
        Some(parent) => {
            let below = parent
                .nearest::<Device>()
                .is_some_and(|found| found.handle() == device.handle());
            if !below {
                return Err(NtStatus::INVALID_DEVICE_REQUEST);
            }
            parent.clone()
        }
    };
    if is_default {
        // R-QUE-14
        if !device.accepts_io_configuration() {
            return Err(NtStatus::INVALID_DEVICE_STATE);
        }
        if device.io().default_queue().is_some() {
            return Err(NtStatus::UNSUCCESSFUL);
        }
    }
    let constraints = Constraints::of(device, attributes.level, attributes.scope)?;
    let dispatching = config.dispatching()?;
    let queue = object::create(
        device.object().binding(),
        &attributes,
        Some(&parent),
        body(device, config, dispatching, constraints),
    )?;
    queue.object().set_passive_dispose();
    device.io().add(&queue);
    if is_default {
        if !device.io().set_default(&queue) {
            lifetime::discard(queue.object());
            return Err(NtStatus::UNSUCCESSFUL);
        }
        queue.object().set_undeletable(true); // R-QUE-16
    }
    Ok(queue)
}

/// The queue that requests given to EvtDeviceFileCreate belong to.
pub(super) fn for_creates(device: &Ref<Device>) -> Result<Ref<Queue>, NtStatus> {
    let config = QueueConfig::default();
    let constraints = Constraints::of(
        device,
        super::super::kind::ExecutionLevel::Inherit,
        super::super::kind::Scope::None,
    )?;
    let queue = object::create(
        device.object().binding(),
        &Attributes::default(),
        Some(device.object()),
        body(device, config, Dispatching::Parallel(u32::MAX), constraints),
    )?;
    queue.object().set_passive_dispose();
    queue.object().set_undeletable(true);
    Ok(queue)
}

fn body(
    device: &Ref<Device>,
    config: QueueConfig,
    dispatching: Dispatching,
    constraints: Constraints,
) -> Queue {
    let power_managed =
        config.size != 0 && config.is_power_managed(!device.is_control(), device.is_filter());
    let io = device.io();
    let shut_down = io.is_shut_down();
    Queue {
        device: device.clone(),
        config,
        dispatching,
        power_managed,
        level: constraints.level,
        callback_lock: constraints.lock,
        synchronized: constraints.synchronized,
        state: Lock::new(State {
            accepts: !shut_down,
            dispatches: true,
            shut_down,
            cancel_dispatched: false,
            frames: 0,
            waiting: List::default(),
            owned: List::default(),
            cancel_due: VecDeque::new(),
            canceled_on_queue: VecDeque::new(),
            stop_done: None,
            empty_done: None,
            ready: None,
            became_nonempty: false,
            next_arrival_counts: false,
            // R-QUE-11; without power management it delivers in every state of the device (R-DEV-64).
            power: if power_managed && !io.in_d0() {
                Power::Off
            } else {
                Power::On
            },
            to_notify: VecDeque::new(),
            deletion: Deletion::No,
            deferred: false,
            deferred_again: false,
        }),
        power_step: Event::new(false, false),
        emptied: Event::new(true, false),
        progress: Lock::new(None),
    }
}
