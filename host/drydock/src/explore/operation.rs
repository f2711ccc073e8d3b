//! Operations of programs, as people write them on a command line.

use crate::nt::app::Op;

/// An operation, and what it is done to if not the device.
pub struct Step {
    /// The path of another device.
    pub path: Option<String>,
    /// What is done.
    pub op: Op,
}

/// Reads `read:LEN[@OFFSET]`, `write:HEX[@OFFSET]`, `ioctl:CODE[:HEX[:LEN]]` or `flush`, behind a path and a space if it is not for
/// the device.
///
/// # Errors
/// What cannot be read, and how it is written.
pub fn parse(text: &str) -> Result<Step, String> {
    let refuse = |why: &str| {
        format!(
            "{text:?}: {why}; an operation is read:LENGTH[@OFFSET], write:HEX[@OFFSET], ioctl:CODE[:HEX[:LENGTH]] or flush, \
             behind the path of another device and a space if it is not for the one explored"
        )
    };
    let (path, operation) = match text.rsplit_once(' ') {
        Some((path, operation)) => (Some(path.trim().to_owned()), operation),
        None => (None, text),
    };
    let number = |text: &str| {
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.map_err(|_| refuse(&format!("{text:?} is no number")))
    };
    let hexadecimal = |text: &str| -> Result<Vec<u8>, String> {
        if !text.is_ascii() || !text.len().is_multiple_of(2) {
            return Err(refuse(&format!(
                "{text:?} is not pairs of hexadecimal digits"
            )));
        }
        (0..text.len())
            .step_by(2)
            .map(|at| {
                u8::from_str_radix(&text[at..at + 2], 16)
                    .map_err(|_| refuse(&format!("{text:?} is not pairs of hexadecimal digits")))
            })
            .collect()
    };
    let mut parts = operation.split(':');
    let (kind, arguments): (_, Vec<_>) = (parts.next().unwrap_or(""), parts.collect());
    let placed = |text: &str| -> Result<(String, i64), String> {
        match text.split_once('@') {
            Some((what, offset)) => Ok((what.to_owned(), i64::from(number(offset)?))),
            None => Ok((text.to_owned(), 0)),
        }
    };
    let op = match (kind, arguments.as_slice()) {
        ("flush", []) => Op::Flush,
        ("read", [argument]) => {
            let (len, offset) = placed(argument)?;
            let len = number(&len)?;
            Op::Read { offset, len }
        }
        ("write", [argument]) => {
            let (data, offset) = placed(argument)?;
            let data = hexadecimal(&data)?;
            Op::Write { offset, data }
        }
        ("ioctl", [code]) => Op::Ioctl {
            code: number(code)?,
            input: Vec::new(),
            output_len: 0,
        },
        ("ioctl", [code, input]) => Op::Ioctl {
            code: number(code)?,
            input: hexadecimal(input)?,
            output_len: 0,
        },
        ("ioctl", [code, input, output]) => Op::Ioctl {
            code: number(code)?,
            input: hexadecimal(input)?,
            output_len: number(output)?,
        },
        _ => return Err(refuse("that is none")),
    };
    Ok(Step { path, op })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_read_as_it_is_written() {
        let read = parse("read:16@0x20").map(|step| (step.path, step.op));
        let expected = Op::Read {
            offset: 0x20,
            len: 16,
        };
        assert_eq!(read, Ok((None, expected)));
        let control = parse(r"\\.\Ferry ioctl:0x22e014:0a0b:8").map(|step| (step.path, step.op));
        let expected = Op::Ioctl {
            code: 0x22_e014,
            input: vec![10, 11],
            output_len: 8,
        };
        assert_eq!(control, Ok((Some(r"\\.\Ferry".to_owned()), expected)));
    }

    #[test]
    fn an_operation_that_cannot_be_read_is_refused_with_a_reason() {
        for (text, reason) in [
            ("reed:1", "that is none"),
            ("read:x", "\"x\" is no number"),
            ("write:abc", "not pairs"),
        ] {
            let refused = parse(text).err().unwrap_or_default();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
