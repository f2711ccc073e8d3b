//! KMDF versions, and the number of functions each one's table has.

use std::{fmt, str::FromStr};

/// A KMDF version 1.x the cross kit can build for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KmdfVersion {
    minor: u8,
}

/// Entries of the client's function table (spec section 0.1).
const COUNTS: &[(u8, usize)] = &[
    (15, 444),
    (17, 444),
    (19, 446),
    (21, 448),
    (23, 451),
    (25, 453),
    (27, 453),
    (29, 454),
    (31, 458),
    (33, 458),
];

impl KmdfVersion {
    /// Every Windows 10 has this one.
    pub const DEFAULT: Self = Self { minor: 15 };

    /// Every version the kit knows, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        COUNTS.iter().map(|(minor, _)| Self { minor: *minor })
    }

    /// The x of 1.x.
    pub fn minor(self) -> u8 {
        self.minor
    }

    /// Entries of the function table a client of this version is given.
    pub fn function_count(self) -> usize {
        COUNTS
            .iter()
            .find(|(minor, _)| *minor == self.minor)
            .map_or(0, |(_, count)| *count)
    }

    /// The name of the variable the framework stores the table's address in.
    pub fn table_symbol(self) -> String {
        format!("WdfFunctions_010{:02}", self.minor)
    }

    /// From 1.25 on a client sees how many functions the running framework really has.
    pub fn has_function_count_variable(self) -> bool {
        self.minor >= 25
    }
}

impl fmt::Display for KmdfVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

impl FromStr for KmdfVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minor = text.strip_prefix("1.").and_then(|m| m.parse().ok());
        match minor {
            Some(minor) if COUNTS.iter().any(|(m, _)| *m == minor) => Ok(Self { minor }),
            _ => {
                let known: Vec<String> = COUNTS.iter().map(|(m, _)| format!("1.{m}")).collect();
                Err(format!("unknown KMDF version; known: {}", known.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec section 0.1; 444 is also what the framework accepted (abi-facts).
    #[test]
    fn a_version_has_the_function_count_of_its_headers() {
        assert_eq!(KmdfVersion::DEFAULT.function_count(), 444);
        assert_eq!(
            "1.31"
                .parse::<KmdfVersion>()
                .map(KmdfVersion::function_count),
            Ok(458)
        );
        assert_eq!(
            "1.33"
                .parse::<KmdfVersion>()
                .map(KmdfVersion::table_symbol)
                .as_deref(),
            Ok("WdfFunctions_01033")
        );
    }

    #[test]
    fn a_version_that_never_was_is_refused_with_the_known_ones() {
        let message = "1.16"
            .parse::<KmdfVersion>()
            .expect_err("1.16 was never released");
        assert!(
            message.contains("1.15") && message.contains("1.33"),
            "{message}"
        );
    }
}
