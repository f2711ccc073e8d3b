//! Bytes and control codes as people write and read them.

use anyhow::{Context, bail};
use ferry_abi::pier;

use crate::cli::Data;
use crate::platform::Result;

/// A control code: one of pier's by name, or a number.
///
/// # Errors
/// It is neither.
pub fn code(text: &str) -> Result<u32> {
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

/// The bytes a command line names.
///
/// # Errors
/// They are no bytes, or the file cannot be read.
pub fn bytes(data: &Data) -> Result<Vec<u8>> {
    if let Some(text) = &data.text {
        return Ok(text.clone().into_bytes());
    }
    if let Some(path) = &data.input {
        return std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    unhex(data.hex.as_deref().unwrap_or(""))
}

/// Two digits per byte, spaces ignored.
///
/// # Errors
/// There is something else in it.
pub fn unhex(text: &str) -> Result<Vec<u8>> {
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
#[must_use]
pub fn dump(data: &[u8]) -> String {
    let line = |(number, bytes): (usize, &[u8])| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        let text = bytes.iter().map(|byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            }
        });
        let text: String = text.collect();
        format!("{:08x}  {hex:<48} {text}", number * 16)
    };
    let lines: Vec<_> = data.chunks(16).enumerate().map(line).collect();
    lines.join("\n")
}

/// Two digits per byte.
#[must_use]
pub fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
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
    fn a_dump_shows_offset_bytes_and_text() {
        insta::assert_snapshot!(dump(b"ferry\x00\xff and more text"), @r"
        00000000  66 65 72 72 79 00 ff 20 61 6e 64 20 6d 6f 72 65  ferry.. and more
        00000010  20 74 65 78 74                                    text
        ");
    }
}
