//! `WDF_IO_QUEUE_CONFIG` and the rules by which a configuration is accepted.

use crate::nt::status::NtStatus;
use std::mem::{offset_of, size_of};

/// `WDF_IO_QUEUE_CONFIG`, current layout.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct QueueConfig {
    /// Size of the structure the client filled in.
    pub size: u32,
    /// `WDF_IO_QUEUE_DISPATCH_TYPE`.
    pub dispatch_type: u32,
    /// `WDF_TRI_STATE`.
    pub power_managed: u32,
    /// Deliver reads and writes of length zero.
    pub allow_zero_length: u8,
    /// This is the device's default queue.
    pub default_queue: u8,
    /// EvtIoDefault.
    pub evt_default: usize,
    /// EvtIoRead.
    pub evt_read: usize,
    /// EvtIoWrite.
    pub evt_write: usize,
    /// EvtIoDeviceControl.
    pub evt_device_control: usize,
    /// EvtIoInternalDeviceControl.
    pub evt_internal_device_control: usize,
    /// EvtIoStop.
    pub evt_stop: usize,
    /// EvtIoResume.
    pub evt_resume: usize,
    /// EvtIoCanceledOnQueue.
    pub evt_canceled_on_queue: usize,
    /// Settings.Parallel.NumberOfPresentedRequests.
    pub presented_limit: u32,
    /// Driver (of a class extension's client).
    pub driver: u64,
}

/// Layout of the clients of 1.9 and 1.7: the fields that end it are absent.
const SIZE_1_9: usize = offset_of!(QueueConfig, driver);
const SIZE_1_7: usize = offset_of!(QueueConfig, presented_limit);

/// How a queue hands out requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatching {
    /// One driver-owned request at a time (R-QUE-41).
    Sequential,
    /// Up to this many driver-owned requests at a time (R-QUE-42).
    Parallel(u32),
    /// The driver fetches requests (R-QUE-43).
    Manual,
}

impl QueueConfig {
    /// Bytes to read from a client's structure that says it has `size` bytes, or why it is refused.
    pub fn accepted_size(size: u32) -> Result<usize, NtStatus> {
        // R-QUE-01
        match size as usize {
            size if [size_of::<QueueConfig>(), SIZE_1_9, SIZE_1_7].contains(&size) => Ok(size),
            _ => Err(NtStatus::INFO_LENGTH_MISMATCH),
        }
    }

    /// Whether one of the five request handlers is given.
    fn has_request_handler(&self) -> bool {
        [
            self.evt_default,
            self.evt_read,
            self.evt_write,
            self.evt_device_control,
            self.evt_internal_device_control,
        ]
        .iter()
        .any(|&handler| handler != 0)
    }

    /// The dispatch type with its limit, if type, handlers and limit go together.
    pub fn dispatching(&self) -> Result<Dispatching, NtStatus> {
        // R-QUE-04..07; a limit of zero on a parallel queue is accepted (R-QUE-08). A client of 1.7 has no limit.
        let limited = self.size as usize != SIZE_1_7 && self.presented_limit != 0;
        match self.dispatch_type {
            1 | 2 if !self.has_request_handler() => Err(NtStatus::WDF_NO_CALLBACK),
            1 if limited => Err(NtStatus::INVALID_PARAMETER),
            1 => Ok(Dispatching::Sequential),
            2 if self.size as usize == SIZE_1_7 => Ok(Dispatching::Parallel(u32::MAX)),
            2 => Ok(Dispatching::Parallel(self.presented_limit)),
            3 if limited || self.has_request_handler() => Err(NtStatus::INVALID_PARAMETER),
            3 => Ok(Dispatching::Manual),
            _ => Err(NtStatus::INVALID_PARAMETER),
        }
    }

    /// Whether the queue follows the device's power state.
    pub fn is_power_managed(&self, pnp_device: bool, filter: bool) -> bool {
        // R-QUE-09, R-QUE-10; so a filter gets requests while its device sleeps (R-DEV-66).
        pnp_device
            && match self.power_managed {
                0 => false,
                1 => true,
                _ => !filter,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dispatch_type: u32) -> QueueConfig {
        QueueConfig {
            size: 96,
            dispatch_type,
            ..Default::default()
        }
    }

    /// R-QUE-01
    #[test]
    fn three_sizes_of_the_configuration_are_accepted() {
        for size in 0..200 {
            let accepted = QueueConfig::accepted_size(size);
            if [80, 88, 96].contains(&size) {
                assert_eq!(accepted, Ok(size as usize));
            } else {
                assert_eq!(accepted, Err(NtStatus::INFO_LENGTH_MISMATCH));
            }
        }
    }

    /// R-QUE-04, R-QUE-05, R-QUE-06, R-QUE-07
    #[test]
    fn dispatch_type_handlers_and_limit_must_go_together() {
        for kind in [0, 4, 77] {
            assert_eq!(config(kind).dispatching(), Err(NtStatus::INVALID_PARAMETER));
        }
        for kind in [1, 2] {
            let mut without = config(kind);
            without.evt_stop = 8;
            without.evt_canceled_on_queue = 8;
            assert_eq!(without.dispatching(), Err(NtStatus::WDF_NO_CALLBACK));
        }
        let mut manual = config(3);
        manual.evt_stop = 8;
        assert_eq!(manual.dispatching(), Ok(Dispatching::Manual));
        manual.evt_read = 8;
        assert_eq!(manual.dispatching(), Err(NtStatus::INVALID_PARAMETER));
        let mut limited = config(1);
        limited.evt_write = 8;
        assert_eq!(limited.dispatching(), Ok(Dispatching::Sequential));
        limited.presented_limit = 3;
        assert_eq!(limited.dispatching(), Err(NtStatus::INVALID_PARAMETER));
        limited.dispatch_type = 2;
        assert_eq!(limited.dispatching(), Ok(Dispatching::Parallel(3)));
        limited.presented_limit = 0;
        assert_eq!(limited.dispatching(), Ok(Dispatching::Parallel(0)));
    }

    /// R-QUE-09, R-QUE-10
    #[test]
    fn power_management_defaults_to_what_the_device_is() {
        let mut asked = config(3);
        for (value, filter, expected) in [
            (0, false, false),
            (1, true, true),
            (2, false, true),
            (2, true, false),
        ] {
            asked.power_managed = value;
            assert_eq!(asked.is_power_managed(true, filter), expected);
            assert!(!asked.is_power_managed(false, filter));
        }
    }
}
