//! From the bytes of a file to its lines, and what is to be said of the bytes themselves.

/// The lines of an INF file and how they were encoded.
pub struct Text {
    /// Lines without their line ends; line 1 is at index 0.
    pub lines: Vec<String>,
    /// Whether the file is UTF-16 with a byte order mark.
    pub utf16: bool,
    /// Numbers of the lines whose bytes mean different things on different machines.
    pub ambiguous: Vec<usize>,
}

/// Reads `bytes` as Windows would: UTF-16LE after a byte order mark, else one byte per character.
///
/// Without the mark Windows takes bytes above 127 from the code page of the machine that installs,
/// so such lines are reported in [`Text::ambiguous`]; they are decoded as UTF-8 only to be shown.
pub fn decode(bytes: &[u8]) -> Text {
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        let (units, odd) = rest.as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let lines = split(&String::from_utf16_lossy(&units));
        let ambiguous = if odd.is_empty() {
            Vec::new()
        } else {
            vec![lines.len()]
        };
        return Text {
            lines,
            utf16: true,
            ambiguous,
        };
    }
    let lines = split(&String::from_utf8_lossy(bytes));
    let ambiguous = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.is_ascii())
        .map(|(index, _)| index + 1)
        .collect();
    Text {
        // A UTF-8 mark is no part of the first line, though it makes that line ambiguous.
        lines: lines
            .into_iter()
            .map(|line| line.trim_start_matches('\u{FEFF}').to_owned())
            .collect(),
        utf16: false,
        ambiguous,
    }
}

fn split(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
