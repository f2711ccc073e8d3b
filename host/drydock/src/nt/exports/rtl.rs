//! Rtl: numbers, versions, GUIDs, times.

use super::exports;
use crate::nt::abi::{Field, UnicodeString, at, layout, read_in, text_at, write_out};
use crate::nt::pnp::Guid;
use crate::nt::status::NtStatus;

/// RTL_OSVERSIONINFOW.
#[repr(C)]
struct Version {
    size: Field<u32>,
    major: Field<u32>,
    minor: Field<u32>,
    build: Field<u32>,
    platform: Field<u32>,
    service_pack: [Field<u16>; 128],
}
layout!(Version, "RTL_OSVERSIONINFOW", 0x114, { size: 0, major: 4, minor: 8, build: 12, platform: 16 });

fn parse_guid(text: &str) -> Option<Guid> {
    let digits: String = text
        .strip_prefix('{')?
        .strip_suffix('}')?
        .split('-')
        .collect();
    let lengths: Vec<usize> = text
        .trim_matches(['{', '}'])
        .split('-')
        .map(str::len)
        .collect();
    if lengths != [8, 4, 4, 4, 12] {
        return None;
    }
    let number = u128::from_str_radix(&digits, 16).ok()?;
    let mut bytes = number.to_be_bytes();
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(Guid(bytes))
}

/// Days from the year 1601 to the first of a month, and back, by the proleptic Gregorian calendar.
fn days_to_date(days: i64) -> (i64, i64, i64) {
    // Shifted so that years begin in March and 400-year cycles at zero: 1601-01-01 is day 584,694 after 0000-03-01.
    let shifted = days + 584_694;
    let cycle = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (
        cycle * 400 + year + i64::from(month <= 2),
        month,
        day_of_month,
    )
}

fn date_to_days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let year = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    cycle * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 584_694
}

const SECOND: i64 = 10_000_000;
const DAY: i64 = 86_400 * SECOND;

exports! {
    PASSIVE fn RtlGetVersion(version: *mut Version) -> NtStatus {
        let view = at(version);
        view.major.set(10);
        view.minor.set(0);
        view.build.set(super::variables::BUILD.into());
        view.platform.set(2);
        view.service_pack[0].set(0);
        NtStatus::SUCCESS
    }
    PASSIVE fn RtlGUIDFromString(text: *mut UnicodeString, guid: *mut [u8; 16]) -> NtStatus {
        match parse_guid(&text_at(text)) {
            Some(parsed) => {
                write_out(guid, parsed.0);
                NtStatus::SUCCESS
            }
            None => NtStatus::INVALID_PARAMETER,
        }
    }
    PASSIVE fn RtlStringFromGUID(guid: *const [u8; 16], out: *mut UnicodeString) -> NtStatus {
        super::io_pnp::give_string(out, &Guid(read_in(guid)).to_string().to_uppercase());
        NtStatus::SUCCESS
    }
    ANY fn RtlRandomEx(seed: *mut u32) -> u32 {
        // The state a driver passes is all there is, so a run repeats.
        let next = read_in(seed).wrapping_mul(0x7fff_ffed).wrapping_add(0x7fff_ffc3) & 0x7fff_ffff;
        write_out(seed, next);
        next
    }
    ANY fn RtlTimeToTimeFields(time: *const i64, fields: *mut u16) {
        let time = read_in(time);
        let (year, month, day) = days_to_date(time.div_euclid(DAY));
        let rest = time.rem_euclid(DAY) / 10_000;
        let weekday = (time.div_euclid(DAY) + 1).rem_euclid(7);
        let values = [year, month, day, rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000, weekday];
        for (index, value) in values.into_iter().enumerate() {
            write_out(fields.wrapping_add(index), value as u16);
        }
    }
    ANY fn RtlTimeFieldsToTime(fields: *const u16, time: *mut i64) -> u8 {
        let field = |index: usize| i64::from(read_in(fields.wrapping_add(index)));
        if !(1..=12).contains(&field(1)) || field(2) == 0 || field(2) > 31 {
            return 0;
        }
        let days = date_to_days(field(0), field(1), field(2));
        let milliseconds = ((field(3) * 60 + field(4)) * 60 + field(5)) * 1000 + field(6);
        write_out(time, days * DAY + milliseconds * 10_000);
        1
    }
    ANY fn RtlNumberOfSetBitsUlongPtr(value: u64) -> u32 {
        value.count_ones()
    }
    ANY fn RtlFindMostSignificantBit(value: u64) -> i8 {
        if value == 0 { -1 } else { 63 - value.leading_zeros() as i8 }
    }
    ANY fn RtlFindLeastSignificantBit(value: u64) -> i8 {
        if value == 0 { -1 } else { value.trailing_zeros() as i8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for days in (0..200_000).step_by(97) {
            let (year, month, day) = days_to_date(days);
            assert_eq!(date_to_days(year, month, day), days);
        }
        assert_eq!(days_to_date(0), (1601, 1, 1));
        assert_eq!(days_to_date(134_774), (1970, 1, 1));
    }

    #[test]
    fn a_guid_is_read_as_it_is_shown() {
        let text = "{12345678-9abc-def0-0102-030405060708}";
        assert_eq!(parse_guid(text).unwrap().to_string(), text);
        assert!(parse_guid("{12345678}").is_none());
    }
}
