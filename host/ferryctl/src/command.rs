//! The plain subcommands: one request, or one rule of ferry's, each.

use std::io::Write as _;

use anyhow::{Context, bail};
use ferry_abi::control::ops;
use ferry_abi::pier;

use crate::cli::{self, Data, Filter, Match, Target};
use crate::ferry::{self, Failed, Ferry};
use crate::interrupt;
use crate::platform::{Access, Completion, Operation, Platform, Result};

/// `ferryctl info`.
pub fn info(platform: &dyn Platform) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    let info = ferry.info()?;
    let (major, minor) = (info.driver_version >> 16, info.driver_version & 0xFFFF);
    println!(
        "ferry {major}.{minor}, built for KMDF 1.{}",
        info.kmdf_minor
    );
    println!("filter devices: {}", info.devices);
    println!("requests completed by the safety net: {}", info.faults);
    if info.faults != 0 {
        println!("  anything but 0 is a bug in ferry: please report it with `ferryctl stats`");
    }
    Ok(())
}

/// `ferryctl devices`.
pub fn devices(platform: &dyn Platform) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    println!(
        "{:>4}  {:>6}  {:>9}  {:>6}  {:>7}",
        "id", "type", "in flight", "held", "delayed"
    );
    for device in ferry.devices()? {
        println!(
            "{:>4}  {:#06x}  {:>9}  {:>6}  {:>7}",
            device.id, device.device_type, device.in_flight, device.held, device.delayed
        );
    }
    for (number, path) in platform
        .interfaces(&ferry_abi::guid::PIER_INTERFACE)?
        .iter()
        .enumerate()
    {
        println!("pier:{number}  {path}");
    }
    Ok(())
}

/// `ferryctl read`.
pub fn read(platform: &dyn Platform, options: &cli::Read) -> Result<()> {
    let operation = Operation::Read {
        offset: options.offset,
        length: options.length,
    };
    let done = once(platform, &options.target, Access::Read, operation, "read")?;
    match &options.output {
        Some(path) => std::fs::write(path, &done.data)
            .with_context(|| format!("cannot write what was read to {}", path.display()))?,
        None => dump(&done.data)?,
    }
    eprintln!("{} bytes read, {}", done.information, done.status);
    Ok(())
}

/// `ferryctl write`.
pub fn write(platform: &dyn Platform, options: &cli::Write) -> Result<()> {
    let operation = Operation::Write {
        offset: options.offset,
        data: bytes(&options.data)?,
    };
    let done = once(platform, &options.target, Access::Write, operation, "write")?;
    eprintln!("{} bytes written, {}", done.information, done.status);
    Ok(())
}

/// `ferryctl ioctl`.
pub fn ioctl(platform: &dyn Platform, options: &cli::Ioctl) -> Result<()> {
    let operation = Operation::Control {
        code: code(&options.code)?,
        input: bytes(&options.data)?,
        output: vec![0; options.output],
    };
    let done = once(
        platform,
        &options.target,
        Access::ReadWrite,
        operation,
        "device control",
    )?;
    dump(&done.data)?;
    eprintln!("information {}, {}", done.information, done.status);
    Ok(())
}

fn once(
    platform: &dyn Platform,
    target: &Target,
    access: Access,
    operation: Operation,
    what: &str,
) -> Result<Completion> {
    let path = ferry::device_path(platform, &target.device)?;
    let device = ferry::open(platform, &path, access)?;
    let done = ferry::run(&*device, operation, target.timeout, &format!("the {what}"))?;
    if !done.status.is_success() {
        return Err(Failed {
            what: format!("the {what} failed"),
            status: done.status,
        }
        .into());
    }
    Ok(done)
}

/// `ferryctl hold`. False if the command it ran failed.
pub fn hold(platform: &dyn Platform, options: &cli::Hold) -> Result<bool> {
    let ferry = Ferry::open(platform)?;
    let id = filter(&ferry, &options.matching.filter)?;
    ferry.hold(id, options.matching.mask(), options.max_age)?;
    let (ops, age) = (names(options.matching.mask()), options.max_age);
    while_rule_stands(
        &ferry,
        &options.matching,
        &format!("holding {ops} of filter device {id}, each at most {age:?}"),
    )
}

/// `ferryctl delay`. False if the command it ran failed.
pub fn delay(platform: &dyn Platform, options: &cli::Delay) -> Result<bool> {
    let ferry = Ferry::open(platform)?;
    let id = filter(&ferry, &options.matching.filter)?;
    ferry.delay(id, options.matching.mask(), options.delay)?;
    let (ops, delay) = (names(options.matching.mask()), options.delay);
    while_rule_stands(
        &ferry,
        &options.matching,
        &format!("delaying {ops} of filter device {id} by {delay:?}"),
    )
}

/// The rule belongs to the control handle of the caller, and ends with it.
fn while_rule_stands(ferry: &Ferry, matching: &Match, what: &str) -> Result<bool> {
    if let [program, arguments @ ..] = &matching.command[..] {
        eprintln!("{what}, while {program} runs");
        let status = std::process::Command::new(program)
            .args(arguments)
            .status()
            .with_context(|| format!("cannot run {program}"))?;
        return Ok(status.success());
    }
    match matching.duration {
        Some(duration) => eprintln!("{what}, for {duration:?} or until Ctrl-C"),
        None => eprintln!("{what}, until Ctrl-C"),
    }
    interrupt::wait(matching.duration, || {
        ferry
            .info()
            .map(drop)
            .context("ferry is gone, and the rule with it")
    })?;
    Ok(true)
}

/// `ferryctl release`.
pub fn release(platform: &dyn Platform, options: &cli::Release) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    let id = filter(&ferry, &options.filter)?;
    if options.count == Some(0) {
        bail!("--count 0 would release nothing; leave --count away to release all");
    }
    let count = ferry.release(id, options.count.unwrap_or(0))?;
    println!("released {count}");
    Ok(())
}

/// `ferryctl stats`.
pub fn stats(platform: &dyn Platform, options: &cli::Stats) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    let id = filter(&ferry, &options.filter)?;
    let stats = ferry.stats(id)?;
    let rows = [
        ("reads", stats.reads, "reads presented"),
        ("writes", stats.writes, "writes presented"),
        ("controls", stats.controls, "device controls presented"),
        (
            "internal",
            stats.internal,
            "internal device controls presented",
        ),
        ("forwarded", stats.forwarded, "sent to the lower device"),
        (
            "skipped",
            stats.skipped,
            "passed down in the caller's thread",
        ),
        (
            "completed",
            stats.completed,
            "completed with what the lower driver said",
        ),
        (
            "canceled",
            stats.canceled,
            "completed as cancelled by ferry",
        ),
        ("held", stats.held, "put into the held queue"),
        ("delayed", stats.delayed, "parked for a delay"),
        ("failed", stats.failed, "could not be sent"),
        (
            "in_flight",
            stats.in_flight,
            "in ferry's hands or below now",
        ),
    ];
    if options.json {
        let map: serde_json::Map<_, _> = rows
            .iter()
            .map(|(name, value, _)| ((*name).to_owned(), (*value).into()))
            .collect();
        println!("{}", serde_json::Value::Object(map));
    } else {
        println!("filter device {id}");
        for (name, value, meaning) in rows {
            println!("{name:>10}  {value:>12}  {meaning}");
        }
    }
    Ok(())
}

/// The filter device the user means.
fn filter(ferry: &Ferry, filter: &Filter) -> Result<u32> {
    let devices = ferry.devices()?;
    let known = || {
        devices
            .iter()
            .map(|device| device.id.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (filter.id, &devices[..]) {
        (_, []) => {
            bail!("ferry is loaded but sits on no device: install its extension INF for one")
        }
        (None, [only, ..]) => Ok(only.id),
        (Some(id), all) if all.iter().any(|device| device.id == id) => Ok(id),
        (Some(id), _) => bail!("there is no filter device {id}; there are: {}", known()),
    }
}

fn names(mask: u32) -> String {
    let known = [
        (ops::READ, "reads"),
        (ops::WRITE, "writes"),
        (ops::CONTROL, "controls"),
    ];
    let names: Vec<_> = known
        .iter()
        .filter(|(op, _)| mask & op != 0)
        .map(|(_, name)| *name)
        .collect();
    names.join(", ")
}

fn code(text: &str) -> Result<u32> {
    Ok(match text {
        "echo" => pier::IOCTL_PIER_ECHO.0,
        "sum" => pier::IOCTL_PIER_SUM.0,
        "echo-direct" => pier::IOCTL_PIER_ECHO_DIRECT.0,
        "echo-neither" => pier::IOCTL_PIER_ECHO_NEITHER.0,
        "state" => pier::IOCTL_PIER_STATE.0,
        number => {
            let parsed = match number.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            parsed.with_context(|| {
                format!("{number:?} is no control code: give a number, 0x..., or echo, sum, echo-direct, echo-neither, state")
            })?
        }
    })
}

fn bytes(data: &Data) -> Result<Vec<u8>> {
    if let Some(text) = &data.text {
        return Ok(text.clone().into_bytes());
    }
    if let Some(path) = &data.input {
        return std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    unhex(data.hex.as_deref().unwrap_or(""))
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| {
            character
                .to_digit(16)
                .with_context(|| format!("{character:?} is no hexadecimal digit"))
        })
        .collect::<Result<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        bail!(
            "--hex wants two digits per byte, {} digits were given",
            digits.len()
        );
    }
    Ok(pairs
        .iter()
        .map(|[high, low]| (high * 16 + low) as u8)
        .collect())
}

/// Sixteen bytes a line: offset, hexadecimal, text.
fn dump(data: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for (line, bytes) in data.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        let text: String = bytes
            .iter()
            .map(|byte| {
                if byte.is_ascii_graphic() || *byte == b' ' {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        writeln!(out, "{:08x}  {hex:<48} {text}", line * 16)
            .context("cannot write to standard output")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_code_is_a_name_or_a_number() {
        assert_eq!(code("echo").unwrap(), pier::IOCTL_PIER_ECHO.0);
        assert_eq!(code("0x22E007").unwrap(), 0x0022_E007);
        assert_eq!(code("17").unwrap(), 17);
        assert!(
            code("nonsense")
                .unwrap_err()
                .to_string()
                .contains("is no control code")
        );
    }

    #[test]
    fn hexadecimal_input_needs_whole_bytes() {
        assert_eq!(unhex("00 fF 10").unwrap(), [0, 0xFF, 0x10]);
        assert!(unhex("abc").unwrap_err().to_string().contains("3 digits"));
        assert!(unhex("zz").unwrap_err().to_string().contains("'z'"));
    }

    #[test]
    fn a_mask_is_told_in_words() {
        assert_eq!(names(ops::READ | ops::CONTROL), "reads, controls");
    }
}
