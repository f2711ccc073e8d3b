//! Ranges of bytes: `4096`, `..4096`, `4096..`, `512..4096` (both ends belong to it), with the suffixes K, M and G.

/// Lowest and highest value of a range.
///
/// # Errors
/// What is wrong with the text.
pub fn parse(text: &str) -> Result<(u64, u64), String> {
    let (low, high) = match text.split_once("..") {
        None => {
            let only = bytes(text)?;
            (only, only)
        }
        Some((low, high)) => (
            if low.trim().is_empty() {
                0
            } else {
                bytes(low)?
            },
            if high.trim().is_empty() {
                u64::MAX
            } else {
                bytes(high.trim_start_matches('='))?
            },
        ),
    };
    if low > high {
        return Err(format!(
            "the range {text:?} is empty: {low} is more than {high}"
        ));
    }
    Ok((low, high))
}

/// A number of bytes.
///
/// # Errors
/// What is wrong with the text.
pub fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let wrong = || format!("{text:?} is no number of bytes: write 4096, 0x1000, 4K or 1M");
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).map_err(|_| wrong());
    }
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: u64 = digits.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A range as it is written.
#[must_use]
pub fn show(low: u64, high: u64) -> String {
    match (low, high) {
        (low, high) if low == high => low.to_string(),
        (0, high) => format!("..{high}"),
        (low, u64::MAX) => format!("{low}.."),
        (low, high) => format!("{low}..{high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_number_or_two_ends_either_of_which_may_be_open() {
        assert_eq!(parse("4096"), Ok((4096, 4096)));
        assert_eq!(parse("..4K"), Ok((0, 4096)));
        assert_eq!(parse("0x200.."), Ok((512, u64::MAX)));
        assert_eq!(parse("1..=2"), Ok((1, 2)));
        assert!(parse("2..1").unwrap_err().contains("is empty"));
        assert!(parse("many").unwrap_err().contains("is no number of bytes"));
        assert!(bytes("99999999999999999G").is_err());
    }

    #[test]
    fn a_range_is_shown_as_it_is_written() {
        for text in ["7", "..7", "7..", "7..9"] {
            let (low, high) = parse(text).unwrap();
            assert_eq!(show(low, high), text);
        }
    }
}
