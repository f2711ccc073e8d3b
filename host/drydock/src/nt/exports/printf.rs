//! printf as the kernel has it: what `%` means for DbgPrint, sprintf and swprintf.

use super::crt::{bytes_of, units_of};
use crate::nt::abi::{AnsiString, UnicodeString, at, read_bytes, read_in};

/// Variable arguments: a row of 8-byte slots.
pub(super) struct Arguments {
    next: *const u64,
}

impl Arguments {
    pub(super) fn new(row: *const u64) -> Self {
        Self { next: row }
    }

    pub(super) fn value(&mut self) -> u64 {
        let value = read_in(self.next);
        self.next = self.next.wrapping_add(1);
        value
    }

    pub(super) fn pointer<T>(&mut self) -> *const T {
        self.value() as *const T
    }
}

/// What characters a `%s` without a size means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Narrow,
    Wide,
}

/// Formats with a template of bytes.
pub(super) fn format_narrow(template: &[u8], arguments: &mut Arguments) -> Vec<u16> {
    let template: Vec<u16> = template.iter().copied().map(u16::from).collect();
    format(&template, Width::Narrow, arguments)
}

/// Formats with a template of UTF-16 units.
pub(super) fn format_wide(template: &[u16], arguments: &mut Arguments) -> Vec<u16> {
    format(template, Width::Wide, arguments)
}

#[derive(Default)]
struct Directive {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    /// Bytes of an integer.
    size: u8,
    /// `h` or `l` before a string or character.
    narrow: bool,
    wide: bool,
}

struct Reader<'a> {
    rest: &'a [u16],
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest
            .first()
            .and_then(|unit| char::from_u32(u32::from(*unit)))
    }

    fn take(&mut self, expected: &str) -> bool {
        let expected: Vec<u16> = expected.encode_utf16().collect();
        let matches = self.rest.starts_with(&expected);
        if matches {
            self.rest = &self.rest[expected.len()..];
        }
        matches
    }

    fn number(&mut self) -> Option<usize> {
        let mut value = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            value = Some(
                value
                    .unwrap_or(0usize)
                    .saturating_mul(10)
                    .saturating_add(digit as usize),
            );
            self.rest = &self.rest[1..];
        }
        value
    }
}

/// The longest field: a wild width must not eat the memory.
const LIMIT: usize = 4096;

fn format(template: &[u16], width: Width, arguments: &mut Arguments) -> Vec<u16> {
    let mut out = Vec::with_capacity(template.len());
    let mut reader = Reader { rest: template };
    while let Some((unit, rest)) = reader.rest.split_first() {
        reader.rest = rest;
        if *unit != u16::from(b'%') {
            out.push(*unit);
            continue;
        }
        let directive = parse(&mut reader, arguments);
        let Some(kind) = reader.peek() else { break };
        reader.rest = &reader.rest[1..];
        convert(kind, &directive, width, arguments, &mut out);
    }
    out
}

fn parse(reader: &mut Reader<'_>, arguments: &mut Arguments) -> Directive {
    let mut directive = Directive {
        size: 4,
        ..Directive::default()
    };
    loop {
        if reader.take("-") {
            directive.left = true;
        } else if reader.take("+") {
            directive.plus = true;
        } else if reader.take(" ") {
            directive.space = true;
        } else if reader.take("#") {
            directive.alternate = true;
        } else if reader.take("0") {
            directive.zero = true;
        } else {
            break;
        }
    }
    if reader.take("*") {
        let width = arguments.value() as i32;
        directive.left |= width < 0;
        directive.width = (width.unsigned_abs() as usize).min(LIMIT);
    } else {
        directive.width = reader.number().unwrap_or(0).min(LIMIT);
    }
    if reader.take(".") {
        let precision = if reader.take("*") {
            Some(arguments.value() as usize)
        } else {
            reader.number()
        };
        directive.precision = Some(precision.unwrap_or(0).min(LIMIT));
    }
    for (prefix, size) in [
        ("I64", 8),
        ("I32", 4),
        ("ll", 8),
        ("hh", 1),
        ("I", 8),
        ("z", 8),
        ("j", 8),
        ("t", 8),
    ] {
        if reader.take(prefix) {
            directive.size = size;
            return directive;
        }
    }
    if reader.take("l") {
        // A long has 32 bits.
        directive.wide = true;
    } else if reader.take("w") {
        directive.wide = true;
    } else if reader.take("h") {
        directive.narrow = true;
        directive.size = 2;
    }
    directive
}

fn convert(
    kind: char,
    directive: &Directive,
    width: Width,
    arguments: &mut Arguments,
    out: &mut Vec<u16>,
) {
    match kind {
        '%' => out.push(u16::from(b'%')),
        'd' | 'i' => {
            let value = signed(arguments.value(), directive.size);
            let sign = if value < 0 {
                "-"
            } else if directive.plus {
                "+"
            } else if directive.space {
                " "
            } else {
                ""
            };
            number(directive, sign, &value.unsigned_abs().to_string(), out);
        }
        'u' => number(
            directive,
            "",
            &unsigned(arguments.value(), directive.size).to_string(),
            out,
        ),
        'x' | 'X' | 'o' => {
            let value = unsigned(arguments.value(), directive.size);
            let (prefix, digits) = match kind {
                'x' => ("0x", format!("{value:x}")),
                'X' => ("0X", format!("{value:X}")),
                _ => ("0", format!("{value:o}")),
            };
            number(
                directive,
                if directive.alternate && value != 0 {
                    prefix
                } else {
                    ""
                },
                &digits,
                out,
            );
        }
        'p' | 'P' => {
            let digits = format!("{:016X}", arguments.value());
            pad(directive, &digits.encode_utf16().collect::<Vec<_>>(), out);
        }
        'c' | 'C' => {
            let value = arguments.value();
            let wide = is_wide(directive, width, kind == 'C');
            pad(
                directive,
                &[if wide {
                    value as u16
                } else {
                    u16::from(value as u8)
                }],
                out,
            );
        }
        's' | 'S' => {
            let address = arguments.value();
            let text = if address == 0 {
                "(null)".encode_utf16().collect()
            } else if is_wide(directive, width, kind == 'S') {
                units_of(address as *const u16)
            } else {
                bytes_of(address as *const u8)
                    .into_iter()
                    .map(u16::from)
                    .collect::<Vec<_>>()
            };
            string(directive, text, out);
        }
        'Z' => {
            let address = arguments.value();
            let text = if address == 0 {
                "(null)".encode_utf16().collect()
            } else if directive.wide {
                at(address as *mut UnicodeString).units()
            } else {
                let view = at(address as *mut AnsiString);
                read_bytes(view.buffer.get(), usize::from(view.length.get()))
                    .into_iter()
                    .map(u16::from)
                    .collect()
            };
            string(directive, text, out);
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let value = f64::from_bits(arguments.value());
            let precision = directive.precision.unwrap_or(6);
            let sign = if value < 0.0 { "-" } else { "" };
            let digits = match kind {
                'e' => format!("{:.precision$e}", value.abs()),
                'E' => format!("{:.precision$E}", value.abs()),
                _ => format!("{:.precision$}", value.abs()),
            };
            number(
                &Directive {
                    precision: None,
                    ..*directive
                },
                sign,
                &digits,
                out,
            );
        }
        // As C does with what it does not know: the character itself.
        other => out.extend(other.encode_utf16(&mut [0; 2]).iter()),
    }
}

fn is_wide(directive: &Directive, width: Width, other: bool) -> bool {
    if directive.wide {
        true
    } else if directive.narrow {
        false
    } else {
        (width == Width::Wide) != other
    }
}

fn signed(value: u64, size: u8) -> i64 {
    match size {
        1 => i64::from(value as i8),
        2 => i64::from(value as i16),
        8 => value as i64,
        _ => i64::from(value as i32),
    }
}

fn unsigned(value: u64, size: u8) -> u64 {
    match size {
        1 => u64::from(value as u8),
        2 => u64::from(value as u16),
        8 => value,
        _ => u64::from(value as u32),
    }
}

fn string(directive: &Directive, mut text: Vec<u16>, out: &mut Vec<u16>) {
    text.truncate(directive.precision.unwrap_or(usize::MAX));
    pad(directive, &text, out);
}

fn number(directive: &Directive, sign: &str, digits: &str, out: &mut Vec<u16>) {
    let mut zeros = directive
        .precision
        .unwrap_or(1)
        .saturating_sub(digits.len());
    if directive.precision.is_none() && directive.zero && !directive.left {
        zeros = directive.width.saturating_sub(sign.len() + digits.len());
    }
    let text = format!("{sign}{}{digits}", "0".repeat(zeros));
    pad(directive, &text.encode_utf16().collect::<Vec<_>>(), out);
}

fn pad(directive: &Directive, text: &[u16], out: &mut Vec<u16>) {
    let blanks = std::iter::repeat_n(u16::from(b' '), directive.width.saturating_sub(text.len()));
    if directive.left {
        out.extend_from_slice(text);
        out.extend(blanks);
    } else {
        out.extend(blanks);
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(template: &str, row: &[u64]) -> String {
        let mut arguments = Arguments::new(row.as_ptr());
        String::from_utf16_lossy(&format_narrow(template.as_bytes(), &mut arguments))
    }

    #[test]
    fn numbers_are_shown_as_the_kernel_shows_them() {
        assert_eq!(
            shown("%d|%5d|%-5d|%05d", &[u64::MAX, 42, 42, 42]),
            "-1|   42|42   |00042"
        );
        assert_eq!(
            shown("%u %lu %llu", &[u64::MAX, u64::MAX, u64::MAX]),
            "4294967295 4294967295 18446744073709551615"
        );
        assert_eq!(
            shown("%08lx %#x %I64X", &[0xc000_000d, 255, 0x1_0000_0000]),
            "c000000d 0xff 100000000"
        );
        assert_eq!(shown("%hu %hd", &[0x1_0001, 0xffff]), "1 -1");
        assert_eq!(shown("%p", &[0x1234]), "0000000000001234");
        assert_eq!(shown("%.3d|%*d|%%", &[7, 4, 7]), "007|   7|%");
    }

    #[test]
    fn strings_may_be_narrow_wide_or_counted() {
        let narrow = b"abc\0";
        let wide: Vec<u16> = "wide\0".encode_utf16().collect();
        let counted = UnicodeString {
            length: crate::nt::abi::Field::new(4),
            maximum_length: crate::nt::abi::Field::new(8),
            buffer: crate::nt::abi::Field::new(wide.as_ptr().cast_mut()),
        };
        let row = [
            narrow.as_ptr() as u64,
            wide.as_ptr() as u64,
            wide.as_ptr() as u64,
            std::ptr::from_ref(&counted) as u64,
        ];
        assert_eq!(shown("%s %ws %S %wZ", &row), "abc wide wide wi");
        assert_eq!(shown("%.2s|%5s|%c", &[row[0], row[0], 65]), "ab|  abc|A");
        assert_eq!(shown("%s", &[0]), "(null)");
    }
}
