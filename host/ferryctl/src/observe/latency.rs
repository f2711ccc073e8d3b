//! Latencies as ferry counts them: a histogram per operation, for the time in ferry and for the time below.

use ferry_abi::control::{BUCKETS, Histogram, Measure, bucket_start, ops};

use crate::ferry::Ferry;
use crate::platform::Result;

/// Operations with latencies, in the order they are shown.
pub const OPS: [(&str, u32); 3] = [
    ("read", ops::READ),
    ("write", ops::WRITE),
    ("control", ops::CONTROL),
];

/// What was counted, since the device was observed or since an earlier look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    /// Requests.
    pub count: u64,
    /// Their latencies together, in 100 ns.
    pub total: u64,
    /// The longest, in 100 ns; since the beginning.
    pub longest: u64,
    /// How many fell into each bucket.
    pub buckets: [u64; BUCKETS],
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            count: 0,
            total: 0,
            longest: 0,
            buckets: [0; BUCKETS],
        }
    }
}

impl From<Histogram> for Latency {
    fn from(histogram: Histogram) -> Self {
        let Histogram {
            count,
            total,
            longest,
            buckets,
            ..
        } = histogram;
        Self {
            count,
            total,
            longest,
            buckets,
        }
    }
}

impl Latency {
    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut buckets = self.buckets;
        for (now, then) in buckets.iter_mut().zip(&earlier.buckets) {
            *now = now.saturating_sub(*then);
        }
        Self {
            count: self.count.saturating_sub(earlier.count),
            total: self.total.saturating_sub(earlier.total),
            longest: self.longest,
            buckets,
        }
    }

    /// The mean, in 100 ns.
    #[must_use]
    pub fn mean(&self) -> Option<u64> {
        self.total.checked_div(self.count)
    }

    /// The latency that `percent` of the requests do not exceed, in 100 ns, to the width of a bucket.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        let total: u64 = self.buckets.iter().sum();
        if total == 0 {
            return None;
        }
        let wanted = ((percent / 100.0 * total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let start = bucket_start(bucket);
                let end = bucket_start((bucket + 1).min(BUCKETS - 1)).saturating_sub(1);
                // Nothing is longer than the longest.
                return Some(end.min(self.longest).max(start));
            }
        }
        None
    }
}

/// Both latencies of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Both {
    /// In ferry, waiting included.
    pub inside: Latency,
    /// From the send to the return.
    pub below: Latency,
}

impl Both {
    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            inside: self.inside.since(&earlier.inside),
            below: self.below.since(&earlier.below),
        }
    }
}

/// The latencies of a device's operations, in the order of [`OPS`].
///
/// # Errors
/// ferry is gone.
pub fn look(ferry: &Ferry, device: u32) -> Result<[Both; 3]> {
    let mut all: [Both; 3] = Default::default();
    for (both, (_, op)) in all.iter_mut().zip(OPS) {
        both.inside = ferry.histogram(device, op, Measure::Inside)?.into();
        both.below = ferry.histogram(device, op, Measure::Below)?.into();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_abi::control::bucket_of;

    fn latency(values: &[u64]) -> Latency {
        let mut latency = Latency::default();
        for value in values {
            latency.count += 1;
            latency.total += value;
            latency.longest = latency.longest.max(*value);
            latency.buckets[bucket_of(*value)] += 1;
        }
        latency
    }

    #[test]
    fn percentiles_are_right_to_a_quarter() {
        let values: Vec<u64> = (1..=10_000).collect();
        let latency = latency(&values);
        for (percent, exact) in [(50.0, 5_000), (99.0, 9_900), (100.0, 10_000)] {
            let told = latency.percentile(percent).unwrap();
            assert!(
                told >= exact && told <= exact + exact / 4,
                "{percent}: {told}"
            );
        }
        assert_eq!(latency.mean(), Some(5_000));
        assert_eq!(Latency::default().percentile(50.0), None);
    }

    #[test]
    fn an_interval_holds_what_came_in_it() {
        let (early, late) = (latency(&[10, 20]), latency(&[10, 20, 1000]));
        let between = late.since(&early);
        assert_eq!((between.count, between.total), (1, 1000));
        assert!(between.percentile(50.0).unwrap() >= 1000);
    }
}
