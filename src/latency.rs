//! Latencies of observed requests, in log-linear histograms.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ferry_abi::{
    Message,
    control::{BUCKETS, Histogram, Measure, bucket_of, ops},
};
use zerocopy::FromZeros;

/// One histogram.
#[derive(FromZeros)]
pub(crate) struct Latency {
    count: AtomicU64,
    total: AtomicU64,
    longest: AtomicU64,
    buckets: [AtomicU32; BUCKETS],
}

impl Latency {
    /// One more, in units of 100 ns.
    pub(crate) fn record(&self, units: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(units, Ordering::Relaxed);
        self.longest.fetch_max(units, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket_of(units)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was recorded; from nothing again if `reset`. What is recorded meanwhile is in one or the other.
    pub(crate) fn read(&self, reset: bool) -> Histogram {
        let get = |field: &AtomicU64| {
            if reset {
                field.swap(0, Ordering::Relaxed)
            } else {
                field.load(Ordering::Relaxed)
            }
        };
        Histogram {
            header: Histogram::expected(),
            count: get(&self.count),
            total: get(&self.total),
            longest: get(&self.longest),
            buckets: self.buckets.each_ref().map(|bucket| {
                u64::from(if reset {
                    bucket.swap(0, Ordering::Relaxed)
                } else {
                    bucket.load(Ordering::Relaxed)
                })
            }),
        }
    }
}

/// The histograms of a device: read, write, control; inside and below of each.
#[derive(FromZeros)]
pub(crate) struct Latencies([[Latency; 2]; 3]);

impl Latencies {
    /// The histogram of one operation.
    pub(crate) const fn of(&self, op: u32, measure: Measure) -> Option<&Latency> {
        let [read, write, control] = &self.0;
        let [inside, below] = match op {
            ops::READ => read,
            ops::WRITE => write,
            ops::CONTROL => control,
            _ => return None,
        };
        Some(match measure {
            Measure::Inside => inside,
            Measure::Below => below,
        })
    }
}
