//! Threads: a team that runs one phase after another, with a barrier between.
//!
//! A training step is a list of phases. In each, every worker gets its own items or its own ranges of flat slices, so
//! no number is written twice and no chain of operations is split: the thread count cannot change a bit.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How often a worker looks for the next phase before it yields, and then before it sleeps: a step's phases follow
/// each other within microseconds, an epoch's validation within milliseconds.
const SPINS: usize = 4_000;
const YIELDS: usize = 200;
/// How many late phases in a row, nearly, make the caller go on alone; for how many phases at first; and at most.
const STRIKES: usize = 4;
const ALONE: usize = 64;
const MOST_ALONE: usize = 1 << 16;
/// After so many phases in time, cores are plenty again.
const IN_TIME: usize = 256;
/// Multiply-adds that take a slow processor with vectors as long as one look.
const A_LOOK: usize = 400;
/// Looks that take as long as to yield, where nobody else wants the core.
const A_YIELD: usize = 50;

/// Threads that wait for phases; the caller's thread is worker 0.
#[derive(Debug)]
pub(crate) struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// One phase at a time.
    phase: Mutex<Manners>,
    /// Looks for a helper's end after which the phase counts as late.
    patience: AtomicUsize,
}

/// Whether the helpers have cores to run on.
///
/// Where other processes want the cores, a helper is away for milliseconds, and a phase of microseconds waits for it. Then
/// the caller does the helpers' work, too, for a while, and tries again: for four times as long after every failure. No clock
/// is read; what counts is how often the caller had to look. The bits are the same in any case.
#[derive(Clone, Copy, Debug)]
struct Manners {
    strikes: usize,
    in_time: usize,
    /// Phases that the caller still does alone, and how many it will be the next time.
    alone: usize,
    next: usize,
}

impl Manners {
    const GOOD: Self = Self { strikes: 0, in_time: 0, alone: 0, next: ALONE };

    /// After a phase with helpers.
    fn learn(&mut self, late: bool) {
        if !late {
            self.strikes = self.strikes.saturating_sub(1);
            self.in_time += 1;
            if self.in_time >= IN_TIME {
                self.next = ALONE;
            }
            return;
        }
        self.in_time = 0;
        self.strikes += 2;
        if self.strikes > 2 * STRIKES {
            (self.strikes, self.alone) = (STRIKES, self.next);
            self.next = (4 * self.next).min(MOST_ALONE);
        }
    }
}

#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
}

struct Shared {
    /// Counts phases; a change tells the helpers that `job` is new.
    phase: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    running: AtomicUsize,
    sleepers: AtomicUsize,
    stop: AtomicBool,
    panicked: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `job` is written only by the caller while no helper runs (`running` is 0) and read by helpers only after
// they saw `phase` change, which happens after the write.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer inside is used only while `run` keeps its referent alive.
unsafe impl Send for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Team {
    pub(crate) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            phase: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            running: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        // Where no thread can be had (WebAssembly, a full process table) the caller does the work alone: same bits.
        let helpers = (1..threads)
            .map_while(|worker| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("chainrule-{worker}"))
                    .spawn(move || help(&shared, worker))
                    .ok()
            })
            .collect();
        Self { shared, helpers, phase: Mutex::new(Manners::GOOD), patience: AtomicUsize::new(usize::MAX) }
    }

    pub(crate) fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Says that phases are about so many multiply-adds long, so that a helper which is away is not taken for one at work.
    pub(crate) fn expect(&self, multiply_adds: usize) {
        self.patience.store(SPINS / 4 + multiply_adds / self.threads() / A_LOOK, Relaxed);
    }

    /// Runs `work(worker)` on every worker and returns when all are done.
    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        if self.helpers.is_empty() {
            return work(0);
        }
        let mut manners = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if manners.alone > 0 {
            manners.alone -= 1;
            return (0..self.threads()).for_each(work);
        }
        let shared = &*self.shared;
        // SAFETY: the lifetime is erased only until `running` is 0 again, before this function returns.
        let work_for_helpers = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(work)
        };
        // SAFETY: no helper runs: the last phase ended with `running` at 0, and this is the only phase (lock above).
        unsafe { *shared.job.get() = Some(Job { work: work_for_helpers }) };
        shared.running.store(self.helpers.len(), SeqCst);
        shared.phase.fetch_add(1, SeqCst);
        if shared.sleepers.load(SeqCst) > 0 {
            let _guard = shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            shared.wake.notify_all();
        }
        let mine = catch_unwind(AssertUnwindSafe(|| work(0)));
        let mut looks = 0;
        while shared.running.load(Acquire) > 0 {
            if looks < SPINS {
                looks += 1;
                std::hint::spin_loop();
            } else {
                looks += A_YIELD;
                std::thread::yield_now();
            }
        }
        manners.learn(looks > self.patience.load(Relaxed));
        if let Err(panic) = mine {
            std::panic::resume_unwind(panic);
        }
        assert!(!shared.panicked.swap(false, SeqCst), "a worker thread panicked");
    }

    /// Runs `f(i, &mut items[i])` for every item, shared out among the workers.
    pub(crate) fn each<B: Send>(&self, items: &mut [B], f: impl Fn(usize, &mut B) + Sync) {
        // Nothing to share out: nobody is woken.
        if let [item] = items {
            return f(0, item);
        }
        let threads = self.threads();
        let items = Shares(items.as_mut_ptr(), items.len());
        self.run(&|worker| {
            let items = &items;
            for i in (worker..items.1).step_by(threads) {
                // SAFETY: i is within the slice, and no two workers have the same i.
                f(i, unsafe { &mut *items.0.add(i) });
            }
        });
    }

    /// Runs `f(i, &mut extras[i], [range i of every slice])`, range i being `bounds[i]..bounds[i + 1]`; an empty slice is
    /// empty for all.
    ///
    /// # Panics
    /// If the bounds do not increase, reach beyond a slice, or are not one more than the extras.
    pub(crate) fn each_range<E: Send, T: Send, const N: usize>(
        &self,
        bounds: &[usize],
        extras: &mut [E],
        slices: [&mut [T]; N],
        f: impl Fn(usize, &mut E, [&mut [T]; N]) + Sync,
    ) {
        assert_eq!(bounds.len(), extras.len() + 1, "one range an extra");
        assert!(bounds.is_sorted(), "ranges in order");
        let within = |s: &[T]| s.is_empty() || bounds[extras.len()] <= s.len();
        assert!(slices.iter().all(|s| within(s)), "ranges within the slices");
        let slices = slices.map(|s| Shares(s.as_mut_ptr(), s.len()));
        self.each(extras, |i, extra| {
            let slices = &slices;
            let (start, end) = (bounds[i], bounds[i + 1]);
            let ranges = std::array::from_fn(|n| {
                if slices[n].1 == 0 {
                    return &mut [][..];
                }
                // SAFETY: start ≤ end ≤ the slice's length (asserted), and the ranges of different i are disjoint.
                unsafe { std::slice::from_raw_parts_mut(slices[n].0.add(start), end - start) }
            });
            f(i, extra, ranges);
        });
    }
}

/// A slice whose elements are handed out to the workers, each to one.
struct Shares<B>(*mut B, usize);
// SAFETY: only used by `each` and `each_range`, which give every element to one worker; `B: Send` is asked there.
unsafe impl<B: Send> Sync for Shares<B> {}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        {
            let _guard = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_all();
        }
        for helper in self.helpers.drain(..) {
            let _ = helper.join();
        }
    }
}

fn help(shared: &Shared, worker: usize) {
    let _environment = super::FloatEnvironment::ieee();
    let mut seen = 0;
    loop {
        let mut looks = 0;
        while shared.phase.load(SeqCst) == seen {
            if shared.stop.load(SeqCst) {
                return;
            }
            looks += 1;
            if looks < SPINS {
                std::hint::spin_loop();
            } else if looks < SPINS + YIELDS {
                std::thread::yield_now();
            } else {
                let mut guard = shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
                shared.sleepers.fetch_add(1, SeqCst);
                // The caller counts sleepers after it changed the phase, so one of the two sees the other.
                while shared.phase.load(SeqCst) == seen && !shared.stop.load(SeqCst) {
                    guard = shared.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
                }
                shared.sleepers.fetch_sub(1, SeqCst);
            }
        }
        seen = shared.phase.load(SeqCst);
        // SAFETY: `phase` changed after the job was written, and `run` waits for us before it writes again.
        let job = unsafe { *shared.job.get() };
        if let Some(job) = job {
            // SAFETY: `run` keeps the closure alive until `running` is 0.
            let work = unsafe { &*job.work };
            if catch_unwind(AssertUnwindSafe(|| work(worker))).is_err() {
                shared.panicked.store(true, SeqCst);
            }
        }
        shared.running.fetch_sub(1, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_visited_once_in_every_phase() {
        for threads in 1..=4 {
            let team = Team::new(threads);
            let mut counts = vec![0; 37];
            for phase in 1..=1000 {
                team.each(&mut counts, |_, count| *count += 1);
                assert!(counts.iter().all(|&count| count == phase));
            }
        }
    }

    #[test]
    fn ranges_of_several_slices_go_together() {
        let team = Team::new(3);
        let (mut a, mut b) = ([1; 10], [2; 10]);
        let mut sums = [0; 3];
        team.each_range(&[0, 4, 4, 10], &mut sums, [&mut a, &mut b], |_, sum, [a, b]| {
            *sum = a.iter().chain(b.iter()).sum::<i32>();
            a.fill(7);
        });
        assert_eq!((sums, a), ([12, 0, 18], [7; 10]));
    }

    #[test]
    fn late_phases_are_done_alone_and_for_longer_each_time() {
        let mut manners = Manners::GOOD;
        // A late one now and then is forgiven.
        for i in 0..100 {
            manners.learn(i % 3 == 0);
        }
        assert_eq!((manners.alone, manners.next), (0, ALONE));
        for _ in 0..=STRIKES {
            manners.learn(true);
        }
        assert_eq!((manners.alone, manners.next), (ALONE, 4 * ALONE));
        manners.alone = 0;
        for _ in 0..20 * STRIKES {
            manners.learn(true);
        }
        assert_eq!((manners.alone, manners.next), (MOST_ALONE, MOST_ALONE));
        manners.alone = 0;
        for _ in 0..IN_TIME {
            manners.learn(false);
        }
        assert_eq!((manners.strikes, manners.next), (0, ALONE));
    }

    #[test]
    fn a_caller_without_patience_does_every_item_all_the_same() {
        let team = Team::new(3);
        team.patience.store(0, Relaxed);
        let mut counts = vec![0; 11];
        for phase in 1..=2000 {
            team.each(&mut counts, |_, count| *count += 1);
            assert!(counts.iter().all(|&count| count == phase));
        }
    }

    #[test]
    fn sleeping_workers_wake() {
        let team = Team::new(2);
        let mut items = [0; 2];
        team.each(&mut items, |_, item| *item += 1);
        std::thread::sleep(std::time::Duration::from_millis(50));
        team.each(&mut items, |_, item| *item += 1);
        assert_eq!(items, [2, 2]);
    }

    #[test]
    fn a_panic_in_a_worker_reaches_the_caller_and_the_team_goes_on() {
        let team = Team::new(2);
        let mut items = [0, 1];
        let result = catch_unwind(AssertUnwindSafe(|| team.each(&mut items, |i, _| assert_ne!(i, 1))));
        assert!(result.is_err());
        team.each(&mut items, |_, item| *item += 1);
        assert_eq!(items, [1, 2]);
    }
}
