//! Jobs shared out to threads, their results taken in the jobs' order.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, mpsc};
use std::thread;

/// Calls `take(work(job))` for every job that `next` gives, in their order; `work` runs on `threads` threads. Few jobs are
/// under way at a time, so that memory stays small. What `take` sees does not depend on the number of threads.
///
/// # Errors
/// The first error of `next` or `take`, in the jobs' order. After one of `next` the jobs before it are still taken.
pub(crate) fn in_order<J: Send, R: Send, E>(
    threads: usize,
    mut next: impl FnMut() -> Result<Option<J>, E>,
    work: impl Fn(J) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    if threads <= 1 {
        while let Some(job) = next()? {
            take(work(job))?;
        }
        return Ok(());
    }
    type Outcome<R> = Result<R, Box<dyn Any + Send>>;
    let (jobs, inbox) = mpsc::channel::<(usize, J)>();
    let inbox = Mutex::new(inbox);
    let (results, outbox) = mpsc::channel::<(usize, Outcome<R>)>();
    thread::scope(|scope| {
        let (inbox, work) = (&inbox, &work);
        for _ in 0..threads {
            let results = results.clone();
            scope.spawn(move || {
                loop {
                    let job = inbox.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
                    let Ok((number, job)) = job else { break };
                    // A panic must reach the one who waits.
                    let outcome = catch_unwind(AssertUnwindSafe(|| work(job)));
                    if results.send((number, outcome)).is_err() {
                        break;
                    }
                }
            });
        }
        // Moved in, so that a return ends the workers.
        let (jobs, outbox) = (jobs, outbox);
        let mut early = BTreeMap::new();
        let (mut sent, mut taken) = (0, 0);
        let mut end = None;
        loop {
            while end.is_none() && sent - taken < threads + 2 {
                match next() {
                    Ok(Some(job)) => {
                        jobs.send((sent, job)).expect("the workers wait for jobs");
                        sent += 1;
                    }
                    Ok(None) => end = Some(Ok(())),
                    Err(error) => end = Some(Err(error)),
                }
            }
            if sent == taken {
                return end.unwrap_or(Ok(()));
            }
            let (number, outcome) = outbox.recv().expect("a worker sends a result for every job");
            early.insert(number, outcome);
            while let Some(outcome) = early.remove(&taken) {
                taken += 1;
                take(outcome.unwrap_or_else(|panic| resume_unwind(panic)))?;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_for_any_number_of_threads() {
        for threads in [0, 1, 2, 7] {
            let mut jobs = 0..100_u64;
            let mut seen = Vec::new();
            let work = |job: u64| (0..(job * 7919) % 5000).fold(job, |x, i| x ^ ((i & 1) * 2));
            let take = |result| {
                seen.push(result);
                Ok(())
            };
            in_order(threads, || Ok::<_, ()>(jobs.next()), work, take).unwrap();
            assert_eq!(seen, (0..100).map(work).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_in_order_wins_and_jobs_before_it_are_taken() {
        for threads in [1, 2, 4] {
            let mut jobs = 0..;
            let next = || match jobs.next() {
                Some(10) => Err("no more"),
                job => Ok(job),
            };
            let mut seen = 0;
            let take = |job: i32| {
                seen += 1;
                if job == 20 { Err("twenty") } else { Ok(()) }
            };
            assert_eq!((in_order(threads, next, |job| job, take), seen), (Err("no more"), 10));
            let mut jobs = 0..;
            let take = |job: i32| if job == 20 { Err("twenty") } else { Ok(()) };
            assert_eq!(in_order(threads, || Ok(jobs.next()), |job| job, take), Err("twenty"));
        }
    }

    #[test]
    #[should_panic = "seven"]
    fn a_panic_reaches_the_caller() {
        let mut jobs = 0..100;
        let work = |job| if job == 7 { panic!("seven") } else { job };
        let _ = in_order(3, || Ok::<_, ()>(jobs.next()), work, |_| Ok(()));
    }
}
