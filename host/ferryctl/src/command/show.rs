//! What there is, at this moment: info, list, stats.

use std::fmt;

use ferry_abi::control::{Device, Stats};
use serde::Serialize;

use super::filter;
use super::operate::policy_name;
use crate::cli;
use crate::ferry::Ferry;
use crate::output::{Output, grouped};
use crate::platform::{Platform, Result};

/// What ferry is.
#[derive(Serialize)]
struct Info {
    version: String,
    kmdf: String,
    devices: u32,
    faults: u32,
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ferry {}, built for KMDF {}", self.version, self.kmdf)?;
        writeln!(f, "filter devices: {}", self.devices)?;
        write!(f, "requests completed by the safety net: {}", self.faults)?;
        if self.faults != 0 {
            write!(
                f,
                "\n  anything but 0 is a bug in ferry: please report it with `ferryctl stats`"
            )?;
        }
        Ok(())
    }
}

/// `ferryctl info`.
///
/// # Errors
/// ferry does not answer.
pub fn info(platform: &dyn Platform, out: Output) -> Result<()> {
    let info = Ferry::open(platform)?.info()?;
    out.say(&Info {
        version: format!(
            "{}.{}",
            info.driver_version >> 16,
            info.driver_version & 0xFFFF
        ),
        kmdf: format!("1.{}", info.kmdf_minor),
        devices: info.devices,
        faults: info.faults,
    })
}

/// Devices ferry sits on, and devices of pier.
#[derive(Serialize)]
struct List {
    filters: Vec<Row>,
    pier: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    id: u32,
    device_type: u32,
    policy: &'static str,
    rules: u32,
    in_flight: u32,
    held: u32,
    delayed: u32,
    backlog: u32,
    dropped: u32,
    below: u32,
}

impl Row {
    fn of(device: &Device) -> Self {
        Self {
            id: device.id,
            device_type: device.device_type,
            policy: policy_name(device.policy),
            rules: device.rules,
            in_flight: device.in_flight,
            held: device.held,
            delayed: device.delayed,
            backlog: device.backlog,
            dropped: device.dropped,
            below: device.below,
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>4}  {:<18}  {:<15}  {:>5}  {:>9}  {:>6}  {:>7}  {:>7}  {:>7}  {:>6}",
            "id",
            "lower device",
            "policy",
            "rules",
            "in flight",
            "held",
            "delayed",
            "backlog",
            "dropped",
            "below"
        )?;
        for row in &self.filters {
            let lower = device_type(row.device_type);
            write!(
                f,
                "\n{:>4}  {lower:<18}  {:<15}  {:>5}  {:>9}  {:>6}  {:>7}  {:>7}  {:>7}  {:>6}",
                row.id,
                row.policy,
                row.rules,
                row.in_flight,
                row.held,
                row.delayed,
                row.backlog,
                row.dropped,
                row.below
            )?;
        }
        if self.filters.is_empty() {
            write!(f, "\n      ferry is loaded and sits on no device")?;
        }
        for (number, path) in self.pier.iter().enumerate() {
            write!(f, "\npier:{number}  {path}")?;
        }
        Ok(())
    }
}

/// `DEVICE_TYPE` in the words of the headers.
#[must_use]
pub fn device_type(number: u32) -> String {
    let name = match number {
        0x02 => "CD_ROM",
        0x04 => "CONTROLLER",
        0x07 => "DISK",
        0x0B => "KEYBOARD",
        0x0F => "MOUSE",
        0x12 => "NETWORK",
        0x15 => "NULL",
        0x16 => "PARALLEL_PORT",
        0x1B => "SERIAL_PORT",
        0x1D => "SOUND",
        0x22 => "UNKNOWN",
        0x2D => "MASS_STORAGE",
        0x31 => "SMARTCARD",
        _ => return format!("{number:#06x}"),
    };
    format!("{name} ({number:#04x})")
}

/// `ferryctl list`.
///
/// # Errors
/// ferry does not answer.
pub fn list(platform: &dyn Platform, out: Output) -> Result<()> {
    let filters = Ferry::open(platform)?
        .devices()?
        .iter()
        .map(Row::of)
        .collect();
    let pier = platform.interfaces(&ferry_abi::guid::PIER_INTERFACE)?;
    out.say(&List { filters, pier })
}

/// The counters of a device, with what each means.
struct Counters {
    device: u32,
    stats: Stats,
}

impl Counters {
    fn rows(&self) -> [(&'static str, u64, &'static str); 19] {
        let s = &self.stats;
        [
            ("reads", s.reads, "reads presented"),
            ("writes", s.writes, "writes presented"),
            ("controls", s.controls, "device controls presented"),
            ("internal", s.internal, "internal device controls presented"),
            (
                "skipped",
                s.skipped,
                "passed down in the caller's thread, never presented",
            ),
            ("forwarded", s.forwarded, "sent to the lower device"),
            ("forgotten", s.forgotten, "sent and forgotten"),
            (
                "completed",
                s.completed,
                "completed with what the lower driver said",
            ),
            ("canceled", s.canceled, "completed as cancelled by ferry"),
            ("failed", s.failed, "completed with an error by ferry"),
            ("held", s.held, "put into the held queue"),
            ("delayed", s.delayed, "parked for a delay"),
            ("backlogged", s.backlogged, "put into the backlog"),
            ("dropped", s.dropped, "dropped by a rule"),
            ("split", s.split, "sent in pieces"),
            ("chunks", s.chunks, "pieces sent"),
            (
                "timed_out",
                s.timed_out,
                "cancelled below by the send timeout",
            ),
            ("aborted", s.aborted, "cancelled below by an abort"),
            ("in_flight", s.in_flight, "in ferry's hands or below now"),
        ]
    }
}

impl Serialize for Counters {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let rows = self.rows();
        let device = std::iter::once(("device", u64::from(self.device)));
        serializer.collect_map(device.chain(rows.iter().map(|(name, value, _)| (*name, *value))))
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter device {}", self.device)?;
        for (name, value, meaning) in self.rows() {
            let (name, value) = (name.replace('_', " "), grouped(value));
            write!(f, "\n{name:>12}  {value:>16}  {meaning}")?;
        }
        Ok(())
    }
}

/// `ferryctl stats`.
///
/// # Errors
/// ferry does not answer.
pub fn stats(platform: &dyn Platform, out: Output, options: &cli::Filter) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    let device = filter(&ferry, options)?;
    let stats = ferry.stats(device)?;
    out.say(&Counters { device, stats })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn counters_are_grouped_and_explained() {
        let mut stats = Stats::new_zeroed();
        (stats.reads, stats.completed, stats.in_flight) = (1_234_567, 1_234_560, 7);
        let counters = Counters { device: 3, stats };
        let text = counters.to_string();
        assert!(
            text.contains("reads         1 234 567  reads presented"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::to_value(&counters).unwrap();
        assert_eq!(
            (&json["device"], &json["reads"]),
            (&3.into(), &1_234_567.into())
        );
        assert_eq!(json.as_object().unwrap().len(), 20);
    }

    #[test]
    fn a_list_shows_where_requests_are() {
        let row = Row {
            id: 1,
            device_type: 0x22,
            policy: "carried",
            rules: 2,
            in_flight: 9,
            held: 3,
            delayed: 2,
            backlog: 1,
            dropped: 0,
            below: 3,
        };
        let list = List {
            filters: vec![row],
            pier: vec![r"\\?\pier".to_owned()],
        };
        insta::assert_snapshot!(list.to_string(), @r"
          id  lower device        policy           rules  in flight    held  delayed  backlog  dropped   below
           1  UNKNOWN (0x22)      carried              2          9       3        2        1        0       3
        pier:0  \\?\pier
        ");
    }
}
