//! What `top` knows: the last look, the one before, and a minute of rates and latencies.

use std::collections::VecDeque;
use std::time::Instant;

use ferry_abi::control::{Device, InFlight, RuleEntry, Stats};
use serde::Serialize;

use crate::command::{device_type, policy_name};
use crate::ferry::Ferry;
use crate::observe::latency::{self, Both};
use crate::observe::place_name;
use crate::platform::Result;
use crate::rules::{describe, op_names};

/// How many looks the sparklines show.
pub const HISTORY: usize = 120;

/// Everything on the screen.
pub struct Model {
    /// Version, faults: the head line.
    pub head: Head,
    /// One per filter device.
    pub devices: Vec<Watched>,
    /// Which one the lower half shows.
    pub selected: usize,
    /// What an action did, or why nothing can be shown.
    pub remark: String,
}

/// What ferry says of itself.
#[derive(Default, Serialize)]
pub struct Head {
    /// Of the driver.
    pub version: String,
    /// It was built for.
    pub kmdf: String,
    /// Requests the safety net had to complete.
    pub faults: u32,
}

/// One device, watched.
pub struct Watched {
    /// As ferry lists it.
    pub device: Device,
    /// Rates and latencies of the last interval.
    pub now: Interval,
    /// Requests per second, oldest first.
    pub rates: VecDeque<u64>,
    /// 99th percentile of the time below, in 100 ns, per operation, oldest first.
    pub below: [VecDeque<u64>; 3],
    /// Rules, with what each did in the last interval.
    pub rules: Vec<(RuleEntry, u64)>,
    /// What is in flight, oldest first, with its age in 100 ns.
    pub in_flight: Vec<(InFlight, u64)>,
    last: Option<Look>,
}

/// What happened between two looks.
#[derive(Default, Clone)]
pub struct Interval {
    /// Reads, writes and controls per second.
    pub rates: [f64; 3],
    /// Passed down without being presented, per second.
    pub skipped: f64,
    /// Ended otherwise than the lower driver said, per second: canceled, failed.
    pub disturbed: [f64; 2],
    /// Latencies of reads, writes and controls.
    pub latencies: [Both; 3],
}

struct Look {
    at: Instant,
    stats: Stats,
    latencies: [Both; 3],
    hits: Vec<(u32, u64)>,
}

impl Model {
    /// Nothing looked at yet.
    pub fn new(ferry: &Ferry) -> Result<Self> {
        let info = ferry.info()?;
        let head = Head {
            version: format!(
                "{}.{}",
                info.driver_version >> 16,
                info.driver_version & 0xFFFF
            ),
            kmdf: format!("1.{}", info.kmdf_minor),
            faults: info.faults,
        };
        Ok(Self {
            head,
            devices: Vec::new(),
            selected: 0,
            remark: String::new(),
        })
    }

    /// The device the lower half shows.
    pub fn shown(&self) -> Option<&Watched> {
        self.devices.get(self.selected)
    }

    /// Looks at everything, or at one device.
    ///
    /// # Errors
    /// ferry is gone.
    pub fn look(&mut self, ferry: &Ferry, only: Option<u32>) -> Result<()> {
        self.head.faults = ferry.info()?.faults;
        let present = ferry.devices()?;
        let is_shown = |device: &&Device| only.is_none_or(|id| id == device.id);
        let mut watched = Vec::new();
        for device in present.iter().filter(is_shown) {
            let known = self
                .devices
                .iter()
                .position(|old| old.device.id == device.id);
            let mut one =
                known.map_or_else(|| Watched::new(*device), |at| self.devices.swap_remove(at));
            one.device = *device;
            one.look(ferry, Instant::now())?;
            watched.push(one);
        }
        self.devices = watched;
        self.selected = self.selected.min(self.devices.len().saturating_sub(1));
        Ok(())
    }
}

fn push(history: &mut VecDeque<u64>, value: u64) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    history.push_back(value);
}

impl Watched {
    fn new(device: Device) -> Self {
        Self {
            device,
            now: Interval::default(),
            rates: VecDeque::new(),
            below: Default::default(),
            rules: Vec::new(),
            in_flight: Vec::new(),
            last: None,
        }
    }

    fn look(&mut self, ferry: &Ferry, at: Instant) -> Result<()> {
        let id = self.device.id;
        let look = Look {
            at,
            stats: ferry.stats(id)?,
            latencies: latency::look(ferry, id)?,
            hits: Vec::new(),
        };
        self.update(look, ferry.rules(id)?, ferry.in_flight(id)?);
        Ok(())
    }

    fn update(&mut self, mut look: Look, rules: Vec<RuleEntry>, mut in_flight: Vec<InFlight>) {
        look.hits = rules
            .iter()
            .map(|entry| (entry.rule.id, entry.hits))
            .collect();
        if let Some(last) = &self.last {
            let seconds = (look.at - last.at).as_secs_f64().max(0.001);
            let per_second = |of: fn(&Stats) -> u64| {
                of(&look.stats).saturating_sub(of(&last.stats)) as f64 / seconds
            };
            self.now = Interval {
                rates: [
                    per_second(|s| s.reads),
                    per_second(|s| s.writes),
                    per_second(|s| s.controls),
                ],
                skipped: per_second(|s| s.skipped),
                disturbed: [per_second(|s| s.canceled), per_second(|s| s.failed)],
                latencies: std::array::from_fn(|op| look.latencies[op].since(&last.latencies[op])),
            };
            push(
                &mut self.rates,
                (self.now.rates.iter().sum::<f64>() + self.now.skipped) as u64,
            );
            for (history, both) in self.below.iter_mut().zip(&self.now.latencies) {
                push(history, both.below.percentile(99.0).unwrap_or(0));
            }
        }
        let before = |id: u32| {
            let last = self.last.as_ref()?;
            last.hits
                .iter()
                .find(|(known, _)| *known == id)
                .map(|(_, hits)| *hits)
        };
        self.rules = rules
            .into_iter()
            .map(|entry| {
                let fresh = before(entry.rule.id).map_or(0, |hits| entry.hits.saturating_sub(hits));
                (entry, fresh)
            })
            .collect();
        in_flight.sort_by_key(|entry| entry.arrived);
        let now = in_flight.iter().map(|entry| entry.since).max().unwrap_or(0);
        self.in_flight = in_flight
            .into_iter()
            .map(|entry| (entry, now.saturating_sub(entry.arrived)))
            .collect();
        self.last = Some(look);
    }
}

impl Serialize for Model {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Op {
            op: &'static str,
            per_second: f64,
            inside_p50: Option<u64>,
            inside_p99: Option<u64>,
            below_p50: Option<u64>,
            below_p99: Option<u64>,
        }
        #[derive(Serialize)]
        struct Request {
            request: u64,
            op: String,
            place: &'static str,
            offset: u64,
            length: u32,
            process: u32,
        }
        #[derive(Serialize)]
        struct One {
            id: u32,
            lower: String,
            policy: &'static str,
            in_flight: u32,
            held: u32,
            delayed: u32,
            backlog: u32,
            dropped: u32,
            below: u32,
            ops: Vec<Op>,
            rules: Vec<String>,
            requests: Vec<Request>,
        }
        let one = |watched: &Watched| One {
            id: watched.device.id,
            lower: device_type(watched.device.device_type),
            policy: policy_name(watched.device.policy),
            in_flight: watched.device.in_flight,
            held: watched.device.held,
            delayed: watched.device.delayed,
            backlog: watched.device.backlog,
            dropped: watched.device.dropped,
            below: watched.device.below,
            ops: latency::OPS
                .iter()
                .zip(watched.now.rates.iter().zip(&watched.now.latencies))
                .map(|((op, _), (rate, both))| Op {
                    op,
                    per_second: *rate,
                    inside_p50: both.inside.percentile(50.0),
                    inside_p99: both.inside.percentile(99.0),
                    below_p50: both.below.percentile(50.0),
                    below_p99: both.below.percentile(99.0),
                })
                .collect(),
            rules: watched
                .rules
                .iter()
                .map(|(entry, _)| describe(&entry.rule))
                .collect(),
            requests: watched
                .in_flight
                .iter()
                .map(|(entry, _)| Request {
                    request: entry.request,
                    op: op_names(entry.op),
                    place: place_name(entry.place),
                    offset: entry.offset,
                    length: entry.length,
                    process: entry.process,
                })
                .collect(),
        };
        #[derive(Serialize)]
        struct All<'a> {
            ferry: &'a Head,
            devices: Vec<One>,
        }
        let devices = self.devices.iter().map(one).collect();
        All {
            ferry: &self.head,
            devices,
        }
        .serialize(serializer)
    }
}

/// Numbers for a picture, with nothing behind them.
#[cfg(test)]
pub mod sample {
    use super::*;
    use crate::observe::latency::Latency;
    use ferry_abi::control::{Action, Place, Rule, bucket_of, ops};
    use std::time::Duration;
    use zerocopy::FromZeros;

    fn latency(units: &[u64]) -> Latency {
        let mut latency = Latency::default();
        for unit in units {
            latency.count += 1;
            latency.total += unit;
            latency.longest = latency.longest.max(*unit);
            latency.buckets[bucket_of(*unit)] += 1;
        }
        latency
    }

    fn entry(id: u32, rule: Rule, hits: u64) -> RuleEntry {
        let mut entry = RuleEntry::new_zeroed();
        (entry.rule, entry.hits, entry.owner) = (rule, hits, 4242);
        entry.rule.id = id;
        entry
    }

    /// A busy device with a slow rule, and an idle one.
    pub fn model() -> Model {
        let start = Instant::now();
        let mut device = Device::new_zeroed();
        (device.id, device.device_type, device.rules) = (1, 0x22, 2);
        (device.in_flight, device.held, device.below) = (3, 1, 2);
        let mut busy = Watched::new(device);
        let mut delay = Rule::every(1, ops::READ, Action::Delay);
        (delay.milliseconds, delay.every) = (50, 10);
        let hold = Rule::every(1, ops::WRITE, Action::Hold);
        for second in 0..40_u64 {
            let mut stats = Stats::new_zeroed();
            let wave = |rate: u64| rate * second + (second % 7) * rate / 5;
            (stats.reads, stats.writes, stats.controls) = (wave(12_000), wave(3_000), wave(100));
            (stats.completed, stats.canceled) = (stats.reads + stats.writes, second);
            let mut latencies: [Both; 3] = Default::default();
            for (op, both) in latencies.iter_mut().enumerate() {
                let many: Vec<u64> = (1..=second * 20)
                    .map(|n| 50 * (op as u64 + 1) + n * 13 % 900)
                    .collect();
                both.below = latency(&many);
                both.inside = latency(&many.iter().map(|unit| unit / 8).collect::<Vec<_>>());
            }
            let at = start + Duration::from_secs(second);
            let look = Look {
                at,
                stats,
                latencies,
                hits: Vec::new(),
            };
            let rules = vec![entry(3, delay, second * 1_200), entry(4, hold, second / 10)];
            let mut flights = Vec::new();
            for (request, op, place, age) in [
                (88, ops::WRITE, Place::Held, 31_000_000),
                (90, ops::READ, Place::Below, 400_000),
                (91, ops::READ, Place::Below, 1_200),
            ] {
                let mut flight = InFlight::new_zeroed();
                (flight.request, flight.op, flight.place) = (request, op, place.code());
                (flight.arrived, flight.since) = (1_000_000_000 - age, 1_000_000_000 - age / 2);
                (flight.offset, flight.length, flight.process) = (request * 4096, 4096, 4242);
                flights.push(flight);
            }
            busy.update(look, rules, flights);
        }
        let mut device = Device::new_zeroed();
        (device.id, device.device_type, device.policy) = (2, 0x1B, 2);
        let head = Head {
            version: "0.1".to_owned(),
            kmdf: "1.15".to_owned(),
            faults: 0,
        };
        Model {
            head,
            devices: vec![busy, Watched::new(device)],
            selected: 0,
            remark: String::new(),
        }
    }
}
