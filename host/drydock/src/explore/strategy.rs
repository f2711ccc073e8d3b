//! How the next schedule is chosen.

use crate::sched::ThreadId;
use std::collections::BTreeMap;

/// Decides, schedule after schedule, which thread runs.
pub trait Strategy {
    /// Another schedule begins. False: there is none left.
    fn begin(&mut self) -> bool;

    /// Which of two or more ways to go. `current`, if the running thread can go on, is the first of them.
    fn choose(&mut self, ways: &[ThreadId], current: Option<ThreadId>) -> usize;

    /// The schedule is over.
    fn ended(&mut self) {}

    /// True if every schedule there is has been run when [`Strategy::begin`] gives false.
    fn is_exhaustive(&self) -> bool {
        false
    }
}

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = u128::from(self.number()) * (limit as u128);
        (wide >> 64) as usize
    }
}

/// Every way is as likely as any other at each choice.
pub struct RandomWalk {
    random: Random,
}

impl RandomWalk {
    /// With this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
        }
    }
}

impl Strategy for RandomWalk {
    fn begin(&mut self) -> bool {
        true
    }

    fn choose(&mut self, ways: &[ThreadId], _current: Option<ThreadId>) -> usize {
        self.random.below(ways.len())
    }
}

/// Probabilistic concurrency testing (Burckhardt and others, 2010): threads have random priorities, and at `depth - 1` random
/// places the running one falls to the lowest. A bug that needs `depth` orderings between `n` threads in `k` steps is found
/// with a probability of at least 1 in `n * k^(depth - 1)` per schedule.
pub struct Pct {
    random: Random,
    depth: usize,
    /// The most steps of a schedule so far.
    length: usize,
    step: usize,
    priorities: BTreeMap<ThreadId, u64>,
    /// Steps at which the running thread falls, with its new priority.
    changes: BTreeMap<usize, u64>,
}

impl Pct {
    /// For bugs of this depth, with this seed.
    pub fn new(depth: usize, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            depth: depth.max(1),
            length: 1,
            step: 0,
            priorities: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }
}

impl Strategy for Pct {
    fn begin(&mut self) -> bool {
        self.step = 0;
        self.priorities.clear();
        self.changes.clear();
        for lowest in 0..self.depth - 1 {
            let at = self.random.below(self.length);
            self.changes.insert(at, lowest as u64);
        }
        true
    }

    fn choose(&mut self, ways: &[ThreadId], _current: Option<ThreadId>) -> usize {
        for thread in ways {
            let random = &mut self.random;
            let depth = self.depth as u64;
            self.priorities
                .entry(*thread)
                .or_insert_with(|| depth + (random.number() >> 8));
        }
        let priorities = &self.priorities;
        let highest = |priorities: &BTreeMap<ThreadId, u64>| {
            (0..ways.len())
                .max_by_key(|index| {
                    (
                        priorities.get(&ways[*index]).copied(),
                        std::cmp::Reverse(*index),
                    )
                })
                .unwrap_or(0)
        };
        let mut chosen = highest(priorities);
        if let Some(lowest) = self.changes.remove(&self.step) {
            self.priorities.insert(ways[chosen], lowest);
            chosen = highest(&self.priorities);
        }
        self.step += 1;
        chosen
    }

    fn ended(&mut self) {
        self.length = self.length.max(self.step);
    }
}

/// Every schedule, one after the other, the last choice varied first.
#[derive(Default)]
pub struct DepthFirst {
    /// The way taken at each choice, and how many there were.
    path: Vec<(u16, u16)>,
    depth: usize,
    begun: bool,
    /// How often a thread that could go on may be interrupted; the rest of the schedule then goes straight on.
    interruptions: Option<u32>,
    interrupted: u32,
}

impl DepthFirst {
    /// All schedules, or those with at most so many interruptions of a thread that could have gone on.
    pub fn new(interruptions: Option<u32>) -> Self {
        Self {
            interruptions,
            ..Self::default()
        }
    }
}

impl Strategy for DepthFirst {
    fn begin(&mut self) -> bool {
        if self.begun {
            loop {
                match self.path.last_mut() {
                    None => return false,
                    Some((way, ways)) if *way + 1 < *ways => {
                        *way += 1;
                        break;
                    }
                    Some(_) => {
                        self.path.pop();
                    }
                }
            }
        }
        self.begun = true;
        self.depth = 0;
        self.interrupted = 0;
        true
    }

    fn choose(&mut self, ways: &[ThreadId], current: Option<ThreadId>) -> usize {
        if current.is_some() && self.interruptions == Some(self.interrupted) {
            return 0;
        }
        if self.depth == self.path.len() {
            self.path.push((0, ways.len() as u16));
        }
        let chosen = usize::from(self.path[self.depth].0);
        self.depth += 1;
        if current.is_some() && chosen != 0 {
            self.interrupted += 1;
        }
        chosen
    }

    fn is_exhaustive(&self) -> bool {
        self.interruptions.is_none()
    }
}

/// The choices of a schedule that was run before; beyond them, straight on.
pub struct Replay {
    choices: Vec<u16>,
    next: usize,
}

impl Replay {
    /// These choices.
    pub fn of(choices: &[u16]) -> Self {
        Self {
            choices: choices.to_vec(),
            next: 0,
        }
    }
}

impl Strategy for Replay {
    fn begin(&mut self) -> bool {
        self.next == 0
    }

    fn choose(&mut self, ways: &[ThreadId], _current: Option<ThreadId>) -> usize {
        let chosen = self.choices.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        usize::from(chosen).min(ways.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Runs threads of so many steps each to their end; gives the order of the steps.
    fn run(strategy: &mut dyn Strategy, steps: &[u32]) -> Vec<u32> {
        let mut left = steps.to_vec();
        let (mut order, mut current): (Vec<u32>, Option<u32>) = (Vec::new(), None);
        while left.iter().any(|left| *left > 0) {
            let can = |thread: &u32| left[*thread as usize] > 0;
            let mut ways: Vec<u32> = current.into_iter().filter(can).collect();
            let goes_on = ways.first().copied();
            ways.extend((0..steps.len() as u32).filter(|t| can(t) && Some(*t) != goes_on));
            let ids: Vec<_> = ways.iter().map(|thread| ThreadId(*thread)).collect();
            let chosen = match ids.len() {
                1 => 0,
                _ => strategy.choose(&ids, goes_on.map(ThreadId)),
            };
            let thread = ways[chosen];
            left[thread as usize] -= 1;
            order.push(thread);
            current = Some(thread);
        }
        strategy.ended();
        order
    }

    /// Two threads of five and four steps have 9 choose 4 orders.
    #[test]
    fn depth_first_runs_every_order_exactly_once() {
        let mut strategy = DepthFirst::new(None);
        let mut seen = BTreeSet::new();
        while strategy.begin() {
            assert!(
                seen.insert(run(&mut strategy, &[5, 4])),
                "an order came twice"
            );
        }
        assert_eq!(seen.len(), 126);
    }

    #[test]
    fn depth_first_with_a_bound_interrupts_no_more_often() {
        let mut strategy = DepthFirst::new(Some(1));
        let mut seen = BTreeSet::new();
        while strategy.begin() {
            let order = run(&mut strategy, &[4, 4]);
            let changes = order.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(
                changes <= 2,
                "{order:?}: one interruption, and the end of a thread"
            );
            assert!(seen.insert(order));
        }
        // Two threads to begin with; no interruption, or one after 1, 2 or 3 steps of the first, and where that one's
        // other half can only follow the whole of the second.
        assert_eq!(seen.len(), 8);
    }

    #[test]
    fn random_walks_of_one_seed_are_alike() {
        let walk = |seed| {
            let mut strategy = RandomWalk::new(seed);
            (0..20)
                .map(|_| run(&mut strategy, &[5, 5, 5]))
                .collect::<Vec<_>>()
        };
        assert_eq!(walk(7), walk(7));
        assert_ne!(walk(7), walk(8));
    }

    /// Depth 1: no thread is ever interrupted by one of lower priority, so each runs to its end.
    #[test]
    fn pct_of_depth_one_runs_threads_one_after_the_other() {
        let mut strategy = Pct::new(1, 3);
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            assert!(strategy.begin());
            let order = run(&mut strategy, &[3, 3, 3]);
            assert_eq!(
                order.windows(2).filter(|pair| pair[0] != pair[1]).count(),
                2
            );
            seen.insert(order);
        }
        assert_eq!(seen.len(), 6, "all orders of three threads");
    }

    #[test]
    fn pct_of_depth_two_changes_once_more() {
        let mut strategy = Pct::new(2, 3);
        let mut most = 0;
        for _ in 0..200 {
            assert!(strategy.begin());
            let order = run(&mut strategy, &[6, 6]);
            most = most.max(order.windows(2).filter(|pair| pair[0] != pair[1]).count());
        }
        assert_eq!(most, 2);
    }

    #[test]
    fn a_replay_makes_the_same_choices() {
        let mut strategy = RandomWalk::new(11);
        let first = run(&mut strategy, &[4, 4]);
        let mut choices = Vec::new();
        // The choices are where both can run: derive them from the order.
        let (mut left, mut current) = ([4, 4], None);
        for thread in &first {
            if left[0] > 0 && left[1] > 0 {
                let goes_on = current.unwrap_or(0) == *thread;
                choices.push(u16::from(!goes_on));
            }
            left[*thread as usize] -= 1;
            current = Some(*thread);
        }
        assert_eq!(run(&mut Replay::of(&choices), &[4, 4]), first);
    }
}
