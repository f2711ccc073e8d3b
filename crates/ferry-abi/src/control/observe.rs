//! Watching: events as they happen, and what is in flight.

use super::{Invalid, require};
use crate::{layout, message};

message! {
    /// Begins or ends observing a device. Belongs to the handle.
    Observe, 24 {
        /// A [`Device::id`](super::Device::id); 0: every device, those that come later included.
        device: u32,
        /// 1 begins, 0 ends.
        on: u32,
        /// 0.
        reserved: u64,
    }
}

impl Observe {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.on <= 1, "on")?;
        require(self.reserved == 0, "reserved")
    }
}

super::codes! {
    /// What happened to a request.
    EventKind {
        /// It was presented to ferry.
        Arrived = 1,
        /// It waits in the held queue.
        Held = 2,
        /// It waits for its time.
        Delayed = 3,
        /// It waits for the in-flight limit.
        Backlogged = 4,
        /// A rule dropped it: it waits for its cancellation.
        Dropped = 5,
        /// It was sent down.
        Sent = 6,
        /// It was sent down in chunks.
        Split = 7,
        /// It was completed with what the lower driver said.
        Completed = 8,
        /// It was canceled while it waited in ferry, and completed.
        Canceled = 9,
        /// Ferry completed it with an error: a rule said so, or it could not be sent.
        Failed = 10,
        /// It was sent and forgotten.
        Forgotten = 11,
    }
}

message! {
    /// What precedes the events of one answer.
    Events, 32 {
        /// Events that were overwritten before this handle could be given them, since its last answer.
        lost: u64,
        /// [`Event`] structures that follow.
        count: u32,
        /// 0.
        reserved: u32,
        /// Number of the first of them.
        first: u64,
    }
}

layout! {
    /// One event. Events are numbered in the order they are given out; a gap in the numbers is a loss.
    Event, 96 {
        /// Number of the event.
        number: u64,
        /// When, in 100 ns since the system was started.
        time: u64,
        /// Number of the request on its device; 0 if it arrived before it was observed.
        request: u64,
        /// Opaque number of the open handle it came through; 0: none. Equal while the handle is open.
        handle: u64,
        /// Byte offset of a transfer.
        offset: u64,
        /// [`Device::id`](super::Device::id).
        device: u32,
        /// An [`EventKind`].
        kind: u32,
        /// One operation of [`ops`](super::ops).
        op: u32,
        /// Control code, or 0.
        code: u32,
        /// Bytes asked for, capped at `u32::MAX`; the longer of input and output for a control.
        length: u32,
        /// Process it came from; 0: unknown.
        process: u32,
        /// The rule that decided, or 0.
        rule: u32,
        /// NTSTATUS it was completed with.
        status: u32,
        /// Information it was completed with, capped at `u32::MAX`.
        information: u32,
        /// 0.
        reserved: u32,
        /// 0.
        reserved2: u64,
    }
}

super::codes! {
    /// Where a request is.
    Place {
        /// In ferry's handler, or on its way from one place to another.
        Handler = 0,
        /// In the held queue.
        Held = 1,
        /// Parked for a delay.
        Delayed = 2,
        /// In the backlog.
        Backlog = 3,
        /// Dropped by a rule, waiting for its cancellation.
        Dropped = 4,
        /// Below.
        Below = 5,
        /// Below, in chunks.
        Split = 6,
    }
}

layout! {
    /// One request in flight. Only requests that arrived while their device was observed have an entry, and at most 512 per device at once.
    InFlight, 80 {
        /// Number of the request on its device.
        request: u64,
        /// When it arrived, in 100 ns since the system was started.
        arrived: u64,
        /// When it came to where it is, as above.
        since: u64,
        /// Opaque number of the open handle it came through; 0: none.
        handle: u64,
        /// Byte offset of a transfer.
        offset: u64,
        /// One operation of [`ops`](super::ops).
        op: u32,
        /// Control code, or 0.
        code: u32,
        /// Bytes asked for, capped at `u32::MAX`.
        length: u32,
        /// Process it came from; 0: unknown.
        process: u32,
        /// A [`Place`].
        place: u32,
        /// The rule that decided, or 0.
        rule: u32,
        /// 0.
        reserved: u64,
    }
}
