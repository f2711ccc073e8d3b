//! The list of upper filters of a device: `UpperFilters`, lowest first.
//!
//! Others and their order are kept; ferry is in it once, on top, or not at all; an empty list is no list.

/// The service whose driver is the filter.
pub const FERRY: &str = "ferry";

fn is_ferry(service: &str) -> bool {
    service.eq_ignore_ascii_case(FERRY)
}

/// Whether ferry is in the list.
#[must_use]
pub fn lists_ferry(filters: &[String]) -> bool {
    filters.iter().any(|service| is_ferry(service))
}

/// The list with ferry on top. `None`: it is in the list already.
#[must_use]
pub fn with_ferry(filters: &[String]) -> Option<Vec<String>> {
    if lists_ferry(filters) {
        return None;
    }
    let mut list = filters.to_vec();
    list.push(FERRY.to_owned());
    Some(list)
}

/// The list without ferry, however often and however spelt it is in it. `None`: it is not.
#[must_use]
pub fn without_ferry(filters: &[String]) -> Option<Vec<String>> {
    lists_ferry(filters).then(|| {
        filters
            .iter()
            .filter(|service| !is_ferry(service))
            .cloned()
            .collect()
    })
}

/// The strings of a `REG_MULTI_SZ`: each ends with a zero, the list with one more. What follows an empty string is not read.
#[must_use]
pub fn from_multi_sz(units: &[u16]) -> Vec<String> {
    let strings = units.split(|unit| *unit == 0);
    strings
        .take_while(|text| !text.is_empty())
        .map(String::from_utf16_lossy)
        .collect()
}

/// A `REG_MULTI_SZ` of these strings. `None` for an empty list: the value is deleted instead.
#[must_use]
pub fn to_multi_sz(strings: &[String]) -> Option<Vec<u16>> {
    if strings.is_empty() {
        return None;
    }
    let mut units: Vec<u16> = Vec::new();
    for text in strings {
        units.extend(text.encode_utf16());
        units.push(0);
    }
    units.push(0);
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn ferry_goes_on_top_of_the_others_and_never_twice() {
        assert_eq!(with_ferry(&[]), Some(list(&["ferry"])));
        assert_eq!(
            with_ferry(&list(&["a", "b"])),
            Some(list(&["a", "b", "ferry"]))
        );
        assert_eq!(with_ferry(&list(&["a", "Ferry", "b"])), None);
    }

    #[test]
    fn only_ferry_is_taken_out_and_the_others_keep_their_order() {
        assert_eq!(
            without_ferry(&list(&["a", "ferry", "b", "FERRY"])),
            Some(list(&["a", "b"]))
        );
        assert_eq!(without_ferry(&list(&["ferry"])), Some(Vec::new()));
        assert_eq!(without_ferry(&list(&["ferry2", "aferry"])), None);
    }

    #[test]
    fn a_list_goes_to_the_registry_and_comes_back() {
        for names in [list(&["a"]), list(&["one", "two", "ferry"])] {
            let units = to_multi_sz(&names).unwrap();
            assert!(units.ends_with(&[0, 0]));
            assert_eq!(from_multi_sz(&units), names);
        }
        assert_eq!(
            to_multi_sz(&[]),
            None,
            "an empty list is deleted, not stored"
        );
        assert_eq!(from_multi_sz(&[0, 0]), list(&[]));
        assert_eq!(
            from_multi_sz(&[u16::from(b'x')]),
            list(&["x"]),
            "a value without its zeros"
        );
    }
}
