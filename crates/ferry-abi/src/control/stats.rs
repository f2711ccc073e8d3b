//! Counters and latencies.

use super::{Invalid, ops, require};
use crate::{layout, message};

layout! {
    /// Counters of one filter device since it was started. Each is the number of requests that passed that point.
    Stats, 160 {
        /// Reads presented to ferry.
        reads: u64,
        /// Writes presented to ferry.
        writes: u64,
        /// Device controls presented to ferry.
        controls: u64,
        /// Internal device controls presented to ferry.
        internal: u64,
        /// Sent to the lower device with a completion routine.
        forwarded: u64,
        /// Passed down in the caller's thread by the preprocess callback, never presented.
        skipped: u64,
        /// Completed with what the lower driver said.
        completed: u64,
        /// Completed with `STATUS_CANCELLED` by ferry itself.
        canceled: u64,
        /// Put into the held queue.
        held: u64,
        /// Parked for a delay.
        delayed: u64,
        /// Completed by ferry with an error: because they could not be sent, or because a rule said so.
        failed: u64,
        /// In ferry's hands or below at this moment.
        in_flight: u64,
        /// Passed down by the policy send-and-forget: presented, and nobody's business since.
        forgotten: u64,
        /// Put into the backlog.
        backlogged: u64,
        /// Dropped by a rule.
        dropped: u64,
        /// Sent in pieces. Counted as forwarded once.
        split: u64,
        /// Pieces sent for them.
        chunks: u64,
        /// Canceled below because a send timeout had passed.
        timed_out: u64,
        /// Canceled below by an abort.
        aborted: u64,
    }
}

super::codes! {
    /// What a histogram measures.
    Measure {
        /// From the arrival to the completion, less [`Below`](Measure::Below): what ferry took, waiting included.
        Inside = 0,
        /// From the send to the return. Of a split transfer: from its first chunk's send to its last one's return.
        Below = 1,
    }
}

message! {
    /// Names one histogram.
    HistogramSelect, 24 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// One operation of [`ops`].
        op: u32,
        /// A [`Measure`].
        measure: u32,
        /// 1 sets it to zero after it was read.
        reset: u32,
    }
}

impl HistogramSelect {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub const fn check(&self) -> Result<(), Invalid> {
        if let Err(invalid) = require(self.op.is_power_of_two() && self.op & ops::ALL != 0, "op") {
            return Err(invalid);
        }
        if let Err(invalid) = require(Measure::from_code(self.measure).is_some(), "measure") {
            return Err(invalid);
        }
        require(self.reset <= 1, "reset")
    }
}

/// Buckets of a histogram.
pub const BUCKETS: usize = 128;
/// Buckets each doubling of the latency is cut into.
const PER_OCTAVE: u64 = 4;

layout! {
    /// A log-linear histogram of latencies while the device was observed. Unit: 100 ns.
    ///
    /// Bucket `b` counts latencies from [`bucket_start`]`(b)` to just below `bucket_start(b + 1)`; the last one everything longer.
    Histogram, 1056 {
        /// Latencies counted.
        count: u64,
        /// Their sum, in 100 ns.
        total: u64,
        /// The longest one, in 100 ns.
        longest: u64,
        /// How many fell into each bucket.
        buckets: [u64; BUCKETS],
    }
}

/// The bucket a latency of `units` (100 ns) is counted in.
///
/// Below 4 one bucket each, then every doubling is cut into four: no bucket is wider than a quarter of its start.
#[must_use]
pub const fn bucket_of(units: u64) -> usize {
    let bucket = if units < PER_OCTAVE {
        units
    } else {
        // 4..8 is octave 0, 8..16 octave 1, and so on.
        let octave = (units.ilog2() as u64).saturating_sub(2);
        let within = (units >> octave) & PER_OCTAVE.wrapping_sub(1);
        octave
            .saturating_add(1)
            .saturating_mul(PER_OCTAVE)
            .saturating_add(within)
    };
    let last = BUCKETS.saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, reason = "at most 252")]
    let bucket = bucket as usize;
    if bucket > last { last } else { bucket }
}

/// The shortest latency, in 100 ns, that bucket counts.
#[must_use]
pub const fn bucket_start(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PER_OCTAVE {
        return bucket;
    }
    let octave = (bucket >> 2).saturating_sub(1);
    let within = bucket & PER_OCTAVE.wrapping_sub(1);
    PER_OCTAVE.saturating_add(within) << octave
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, bucket_of, bucket_start};

    /// Every bucket begins where it says, and the one before ends just below.
    #[test]
    fn buckets_meet_without_gap_or_overlap() {
        for bucket in 0..BUCKETS {
            let start = bucket_start(bucket);
            assert_eq!(bucket_of(start), bucket, "start {start}");
            if start > 0 {
                assert_eq!(bucket_of(start - 1), bucket - 1, "below {start}");
            }
        }
    }

    /// Whatever is longer than the last bucket's start is in it: about 6.7 minutes and more.
    #[test]
    fn the_last_bucket_takes_everything_longer() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert!(bucket_start(BUCKETS - 1) > 60 * 10_000_000);
    }
}
