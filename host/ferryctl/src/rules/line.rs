//! A rule on the command line: `OPS ACTION [VALUE] [KEY=VALUE | FLAG]...`

use super::spec::{FLAGS, Spec, action, fraction, op};
use super::{BadRule, range};
use crate::status::Status;
use ferry_abi::control::{Action, Order};

/// What a rule looks like, for `--help`.
pub const GRAMMAR: &str = "\
A rule is: OPS ACTION [VALUE] [CONDITION]...

  OPS        read, write, control, internal, all; several with commas
  ACTION     pass | delay TIME | hold [AGE] | fail STATUS | shorten BYTES | truncate BYTES | drop | split BYTES
  CONDITION  length=RANGE  offset=RANGE  code=0x...  process=PID  every=N  probability=0.1 or 10%  seed=N  times=N
             order=free  own-process  kernel  no-user  no-file

  TIME is 50ms or 2s, STATUS is STATUS_DEVICE_BUSY or 0x80000011, RANGE is 4096, ..4K, 4K.. or 512..4K.

  read,write delay 50ms every=10
  read fail STATUS_DEVICE_BUSY probability=1% seed=7
  write shorten 512 length=4K.. offset=0..1M
  control hold 5s code=0x0022e400

The first rule that matches decides. By default a rule sees what user-mode programs other than this one send through a handle.";

/// Reads one rule.
///
/// # Errors
/// The word that cannot be accepted.
pub fn parse(text: &str) -> Result<Spec, BadRule> {
    let bad = |what: String| BadRule {
        place: format!("rule {text:?}"),
        what,
    };
    words(text).map_err(bad)
}

fn words(text: &str) -> Result<Spec, String> {
    let mut words = text.split_whitespace().peekable();
    let ops = words
        .next()
        .ok_or("a rule begins with an operation: read, write, control or all")?;
    let mut mask = 0;
    for name in ops.split(',') {
        mask |= op(name)?;
    }
    let kind = action(
        words
            .next()
            .ok_or("an action follows the operation, such as `delay 50ms`")?,
    )?;
    let mut spec = Spec::new(mask, kind);
    let is_value = |word: &&str| !word.contains('=') && FLAGS.iter().all(|(name, _)| name != word);
    let value = words.next_if(is_value);
    match (kind, value) {
        (Action::Delay, Some(value)) => spec.time = time(value)?,
        (Action::Hold, Some(value)) => spec.time = time(value)?,
        (Action::Fail, Some(value)) => spec.status = Some(value.parse::<Status>()?),
        (Action::Shorten | Action::Truncate | Action::Split, Some(value)) => {
            spec.bytes = count(value)?
        }
        (Action::Delay, None) => return Err("say for how long: `delay 50ms`".to_owned()),
        (Action::Fail, None) => return Err("say with what: `fail STATUS_DEVICE_BUSY`".to_owned()),
        (Action::Shorten | Action::Truncate | Action::Split, None) => {
            return Err("say how many bytes: `shorten 512`".to_owned());
        }
        (_, Some(value)) => return Err(format!("{value:?} is neither a condition nor a flag")),
        (_, None) => {}
    }
    for word in words {
        condition(&mut spec, word)?;
    }
    spec.rule(1)?;
    Ok(spec)
}

fn condition(spec: &mut Spec, word: &str) -> Result<(), String> {
    let Some((key, value)) = word.split_once('=') else {
        let flag = FLAGS.iter().find(|(name, _)| *name == word);
        let (_, flag) = flag.ok_or_else(|| format!("{word:?} is neither KEY=VALUE nor a flag"))?;
        spec.matching |= flag;
        return Ok(());
    };
    let number = || {
        value
            .parse::<u64>()
            .map_err(|_| format!("{key}={value}: a number belongs there"))
    };
    let small = || u32::try_from(number()?).map_err(|_| format!("{key}={value} is too large"));
    match key {
        "length" => spec.length = range::parse(value)?,
        "offset" => spec.offset = range::parse(value)?,
        "code" => spec.code = count(value)?,
        "process" => spec.process = small()?,
        "every" => spec.every = small()?,
        "probability" => spec.probability = fraction(value)?,
        "seed" => spec.seed = number()?,
        "times" => spec.times = number()?,
        "order" => spec.order = order(value)?,
        _ => {
            return Err(format!(
                "there is no condition {key:?}: length, offset, code, process, every, probability, seed, times, order"
            ));
        }
    }
    Ok(())
}

/// `keep` or `free`.
///
/// # Errors
/// It is neither.
pub fn order(text: &str) -> Result<Order, String> {
    match text {
        "keep" => Ok(Order::Keep),
        "free" => Ok(Order::Free),
        _ => Err(format!("order is keep or free, not {text:?}")),
    }
}

/// A length of time.
///
/// # Errors
/// It is none.
pub fn time(text: &str) -> Result<std::time::Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("{text:?} is no length of time: write 50ms or 2s"))
}

/// A number of bytes, or a code, that fits 32 bits.
///
/// # Errors
/// It does not.
pub fn count(text: &str) -> Result<u32, String> {
    u32::try_from(range::bytes(text)?).map_err(|_| format!("{text} is more than 32 bits hold"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::describe;

    #[test]
    fn what_is_written_is_what_the_driver_would_be_given_and_tells_back() {
        for text in [
            "read pass",
            "read,write delay 50ms every=10",
            "read fail STATUS_DEVICE_BUSY probability=0.01 seed=7",
            "write shorten 512 length=4096.. offset=..1048576",
            "control hold 5.00 s code=0x0022e400 times=3 own-process kernel",
            "all drop process=12",
            "read truncate 0",
            "read,write split 4096 length=8192..",
            "all delay 1ms order=free",
        ] {
            let spec = parse(&text.replace("5.00 s", "5s")).unwrap();
            assert_eq!(describe(&spec.rule(1).unwrap()), text);
        }
    }

    #[test]
    fn a_wrong_word_is_named() {
        for (text, word) in [
            ("", "begins with an operation"),
            ("reed pass", "\"reed\""),
            ("read", "an action follows"),
            ("read sleep", "\"sleep\""),
            ("read delay", "for how long"),
            ("read delay soon", "\"soon\""),
            ("read fail", "with what"),
            ("read fail STATUS_NONSENSE", "STATUS_NONSENSE"),
            ("read fail STATUS_SUCCESS", "severity"),
            ("read pass 7", "\"7\""),
            ("read pass often", "\"often\""),
            ("read pass colour=red", "\"colour\""),
            ("read pass length=9..1", "is empty"),
            ("read pass probability=7", "between 0 and 1"),
            ("write truncate 5", "truncate for reads"),
            ("control shorten 5", "for reads and writes"),
            ("read pass code=0x22e400", "for controls only"),
            ("read hold order=free", "for delays"),
            ("read delay 2m", "a minute at most"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
