//! Processor time: what a figure per core is taken from, whoever else uses the machine meanwhile.
#![expect(unsafe_code, reason = "the standard library has no processor time")]

use std::time::Duration;

/// The time this process's threads have run so far, all together.
pub(super) fn time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes one `timespec`, to a place that is one.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "Linux has this clock since 2.6");
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_processor_time() {
        let begin = time();
        let mut rounds = 0u32;
        while time() == begin {
            rounds += 1;
        }
        assert!(time() > begin, "after {rounds} rounds");
    }
}
