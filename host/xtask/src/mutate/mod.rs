//! `cargo xtask mutate`: does the suite notice when the model of the framework is wrong?
//!
//! `host/drydock/mutations.toml` lists small mistakes in `src/kmdf`: a condition flipped, a transition dropped. A rebuild for
//! each would take hours, so all of them are compiled into one copy of drydock, each behind a switch
//! ([`tree`]): `original` becomes `(if crate::mutant::is(17) { mutated } else { original })`. A mutant then costs one run of
//! the tests, which ends at the first test that fails ([`suite`]). The product's own source stays as it is.
//!
//! | file | what it is |
//! |---|---|
//! | [`list`] | the list, and where each mutation lies in its file |
//! | [`tree`] | the copy of drydock with all mutations in it, built once |
//! | [`suite`] | the tests that are run, one program at a time, until one fails |

mod list;
mod suite;
mod tree;

use std::time::Instant;

use anyhow::{Result, bail};

use self::{
    list::List,
    suite::{Suite, Verdict},
    tree::Tree,
};
use crate::project::Project;

/// How many of a hundred mutations the suite must notice.
const CAUGHT_PER_HUNDRED: usize = 90;

/// What to do with the list.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only look whether every mutation still has its place in the source
    #[arg(long, conflicts_with_all = ["only", "sample"])]
    check: bool,
    /// Only these mutations, by their number in the list
    #[arg(long, value_name = "NUMBER", conflicts_with = "sample")]
    only: Vec<usize>,
    /// Only so many, spread evenly over the list
    #[arg(long, value_name = "HOW MANY")]
    sample: Option<usize>,
}

/// Runs the suite against the mutations asked for, and says which it did not notice.
pub fn run(project: &Project, args: &Args) -> Result<()> {
    if args.check {
        return check(project);
    }
    let list = List::read(project)?;
    let chosen = chosen(args, list.len())?;
    let tree = Tree::make(project, &list)?;
    let suite = Suite::build(project, &tree)?;
    let mut survivors = Vec::new();
    for (done, &number) in chosen.iter().enumerate() {
        let begin = Instant::now();
        let verdict = suite.run(number)?;
        println!(
            "{:>3} of {}  {:>5.1} s  {number:>3} {}: {verdict}",
            done + 1,
            chosen.len(),
            begin.elapsed().as_secs_f32(),
            list.describe(number),
        );
        if verdict == Verdict::Survived {
            survivors.push(number);
        }
    }
    let caught = chosen.len() - survivors.len();
    println!();
    for &number in &survivors {
        println!("survived: {number} {}", list.describe(number));
    }
    println!(
        "{caught} of {} mutations caught, {:.1} %",
        chosen.len(),
        100.0 * caught as f64 / chosen.len() as f64
    );
    if caught * 100 < chosen.len() * CAUGHT_PER_HUNDRED {
        bail!("fewer than {CAUGHT_PER_HUNDRED} % of the mutations were caught");
    }
    Ok(())
}

/// Looks whether every mutation of the list still has its place in the source.
pub fn check(project: &Project) -> Result<()> {
    let list = List::read(project)?;
    println!(
        "{} mutations, each with its place in the source",
        list.len()
    );
    Ok(())
}

fn chosen(args: &Args, all: usize) -> Result<Vec<usize>> {
    if let Some(wrong) = args.only.iter().find(|number| !(1..=all).contains(*number)) {
        bail!("there is no mutation {wrong}; the list has {all}");
    }
    Ok(match args.sample {
        _ if !args.only.is_empty() => args.only.clone(),
        Some(0) => bail!("a sample has at least one mutation"),
        Some(many) if many < all => (0..many).map(|index| 1 + index * all / many).collect(),
        _ => (1..=all).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(only: &[usize], sample: Option<usize>) -> Args {
        Args {
            check: false,
            only: only.to_vec(),
            sample,
        }
    }

    #[test]
    fn a_sample_is_spread_over_the_list() {
        assert_eq!(chosen(&args(&[], Some(2)), 100).unwrap(), [1, 51]);
        assert_eq!(chosen(&args(&[], Some(9)), 3).unwrap(), [1, 2, 3]);
        assert_eq!(chosen(&args(&[7], None), 9).unwrap(), [7]);
        assert!(chosen(&args(&[10], None), 9).is_err());
    }
}
