//! Who may open a device: access tokens and the part of security descriptors devices use.

use super::status::NtStatus;

/// FILE_READ_DATA.
pub const FILE_READ_DATA: u32 = 0x1;
/// FILE_WRITE_DATA.
pub const FILE_WRITE_DATA: u32 = 0x2;
/// GENERIC_READ as files map it.
pub const FILE_GENERIC_READ: u32 = 0x12_0089;
/// GENERIC_WRITE as files map it.
pub const FILE_GENERIC_WRITE: u32 = 0x12_0116;
/// GENERIC_EXECUTE as files map it.
pub const FILE_GENERIC_EXECUTE: u32 = 0x12_00a0;
/// GENERIC_ALL as files map it.
pub const FILE_ALL_ACCESS: u32 = 0x1f_01ff;

/// Whom a process runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// The system account.
    System,
    /// An elevated member of Administrators.
    Administrator,
    /// An ordinary user.
    User,
}

impl Token {
    fn has(self, sid: &str) -> bool {
        match sid {
            "WD" => true,
            "SY" => self == Self::System,
            "BA" => matches!(self, Self::System | Self::Administrator),
            "BU" | "AU" | "IU" => self != Self::System || sid == "AU",
            _ => false,
        }
    }
}

/// Generic rights turned into those of files.
pub const fn map_generic(access: u32) -> u32 {
    let mut mapped = access & 0x0fff_ffff;
    if access & 0x8000_0000 != 0 {
        mapped |= FILE_GENERIC_READ;
    }
    if access & 0x4000_0000 != 0 {
        mapped |= FILE_GENERIC_WRITE;
    }
    if access & 0x2000_0000 != 0 {
        mapped |= FILE_GENERIC_EXECUTE;
    }
    if access & 0x1000_0000 != 0 {
        mapped |= FILE_ALL_ACCESS;
    }
    mapped
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ace {
    allow: bool,
    rights: u32,
    sid: String,
}

/// A discretionary access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    aces: Vec<Ace>,
}

/// The rights MAXIMUM_ALLOWED stands for are computed, not asked for.
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;

impl Security {
    /// Reads a descriptor in SDDL such as `D:P(A;;GA;;;SY)(A;;GA;;;BA)`; only its DACL counts.
    pub fn from_sddl(text: &str) -> Result<Self, NtStatus> {
        let start = text.find("D:").ok_or(NtStatus::INVALID_PARAMETER)?;
        let mut rest = &text[start + 2..];
        let mut aces = Vec::new();
        rest = rest.trim_start_matches(|c: char| c.is_ascii_uppercase());
        while let Some(body) = rest.strip_prefix('(') {
            let end = body.find(')').ok_or(NtStatus::INVALID_PARAMETER)?;
            let fields: Vec<&str> = body[..end].split(';').collect();
            let [kind, _flags, rights, _object, _inherit, sid] = fields[..] else {
                return Err(NtStatus::INVALID_PARAMETER);
            };
            let allow = match kind {
                "A" => true,
                "D" => false,
                _ => return Err(NtStatus::INVALID_PARAMETER),
            };
            aces.push(Ace {
                allow,
                rights: parse_rights(rights)?,
                sid: sid.to_owned(),
            });
            rest = &body[end + 1..];
        }
        Ok(Self { aces })
    }

    /// What `token` is granted when it asks for `wanted`.
    pub fn check(&self, token: Token, wanted: u32) -> Result<u32, NtStatus> {
        let mapped = map_generic(wanted);
        let mut denied = 0;
        let mut granted = 0;
        for ace in self.aces.iter().filter(|ace| token.has(&ace.sid)) {
            if ace.allow {
                granted |= ace.rights & !denied;
            } else {
                denied |= ace.rights & !granted;
            }
        }
        if mapped & MAXIMUM_ALLOWED != 0 {
            return if granted == 0 {
                Err(NtStatus::ACCESS_DENIED)
            } else {
                Ok(granted)
            };
        }
        if mapped & !granted == 0 {
            Ok(mapped)
        } else {
            Err(NtStatus::ACCESS_DENIED)
        }
    }
}

fn parse_rights(text: &str) -> Result<u32, NtStatus> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16)
            .map(map_generic)
            .map_err(|_| NtStatus::INVALID_PARAMETER);
    }
    let mut rights = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (code, tail) = rest
            .split_at_checked(2)
            .ok_or(NtStatus::INVALID_PARAMETER)?;
        rights |= match code {
            "GA" | "FA" => FILE_ALL_ACCESS,
            "GR" | "FR" => FILE_GENERIC_READ,
            "GW" | "FW" => FILE_GENERIC_WRITE,
            "GX" | "FX" => FILE_GENERIC_EXECUTE,
            "RC" => 0x2_0000,
            "SD" => 0x1_0000,
            "WD" => 0x4_0000,
            "WO" => 0x8_0000,
            _ => return Err(NtStatus::INVALID_PARAMETER),
        };
        rest = tail;
    }
    Ok(rights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_for_administrators_refuses_a_user() {
        let security = Security::from_sddl("D:P(A;;GA;;;SY)(A;;GA;;;BA)").unwrap();
        let wanted = 0xc000_0000;
        assert!(security.check(Token::Administrator, wanted).is_ok());
        assert!(security.check(Token::System, wanted).is_ok());
        assert_eq!(
            security.check(Token::User, wanted),
            Err(NtStatus::ACCESS_DENIED)
        );
        assert_eq!(security.check(Token::User, 0), Ok(0));
    }

    #[test]
    fn users_may_be_given_reading_only() {
        let security = Security::from_sddl("D:P(A;;GA;;;BA)(A;;GR;;;WD)").unwrap();
        assert!(security.check(Token::User, 0x8000_0000).is_ok());
        assert_eq!(
            security.check(Token::User, 0xc000_0000),
            Err(NtStatus::ACCESS_DENIED)
        );
        assert!(Security::from_sddl("no descriptor").is_err());
    }
}
