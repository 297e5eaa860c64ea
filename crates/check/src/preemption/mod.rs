//! How many preemptions a class of executions needs.
//!
//! # What a preemption is
//! A schedule takes the turn from a thread that could go on. It is none where the thread has ended,
//! where it waits (for a word that its next operation does not accept, or for the end of another
//! thread), or where it has just given way (a yield, a hint that it spins); Musuvathi & Qadeer,
//! *Iterative Context Bounding*, PLDI'07, and loom count likewise. A schedule of a graph is an order of
//! its events in which the program can execute it: one that respects program order, reads-from,
//! creation and end of threads, and modification order and from-reads where these order a schedule:
//! on ordered locations, and between SeqCst accesses (part of `psc`). Other accesses take their value
//! from any write that was executed, and go to any place: under `rc11` a stale read needs no preemption.
//! What is counted of a class is the least number of preemptions of its schedules. A class without a
//! schedule (RC11 has some in which SeqCst accesses and relaxed ones of the same thread go two ways) is
//! within no bound.
//!
//! # Which graphs may be left out
//! To explore every class of at most `n` preemptions it is not enough to look at the graphs on the way
//! there: these hold events that a later backward revisit takes back, and may need more preemptions
//! than the class itself. Marmanis, Kokologiannakis & Vafeiadis, *Reconciling Preemption Bounding with
//! DPOR*, TACAS'23, allow for that with a slack of as many preemptions as there are threads but two. It
//! relies on sequential consistency, and on threads that are added one after another, each to its end;
//! here a thread that waited goes on as soon as it can, and two threads that hand values to each other
//! may be preempted again and again in a part of a graph that is taken back as a whole.
//!
//! So what is counted is not a graph but what of it can never be taken back, without a slack. That is
//! the prefixes (`porf`) of two kinds of events:
//!
//! * One that was not added maximally: a read, when a newer write than the one it reads was there; a
//!   write, when a newer one was there; a choice of anything but the first. A revisit takes back only
//!   what was added maximally, seen from the events before it and those in the prefix of the write that
//!   revisits. If a revisit does not hold the event in that prefix, it keeps all that was added before
//!   it, the newer write included; so the event is kept, and stays what it is. If it does, the write
//!   that revisits is of the second kind.
//! * A write that is read by a read that was added before it, that is, one that has revisited. While
//!   the read is there, the write was not added maximally, so nothing takes it back. The read is taken
//!   back, or given another write, only by a revisit with a prefix that holds the write: else the read
//!   would not be maximal. That revisit's write is then of this kind, and keeps what is in its prefix.
//!   (Not where the read may turn out to wait: its thread then waits, and is no event that holds the
//!   write.)
//!
//! Whatever is explored from a graph has this part of it, with the same reads-from and the same order
//! of its writes. A schedule of the whole, without the events that are not of the part, is a schedule of
//! the part; no event of a thread is missing between two that are there, so where the turn is taken from
//! a thread of the part, it was taken there in the whole, too; and whether it could have gone on is
//! counted only as far as the part says. So the part needs no more preemptions than any graph that
//! comes of it, and a graph whose part needs more than `n` is left out.
//!
//! **What is taken back with what.** That part holds what stays whatever comes. More stays in each single
//! case. Call the events above, which are not maximal, fixed. Of the graph's reads that are given another
//! write on the way to a graph that comes of it, let `r` be the one that was added first; if there is none,
//! the whole graph stays. What was added before `r` is never taken back then. A revisit of `r`, or of a read
//! behind it, has each fixed event that was added behind that read in the prefix of its write, as such an
//! event is not maximal; and so have later ones, which find that write fixed. So what stays is all that was
//! added before `r`, and the prefixes of all fixed events behind `r`; and `r` itself, which comes behind these
//! prefixes, as its write does. If `r` does not wait, its thread could have gone on where the turn was
//! taken from it, and that is a preemption. (One that waits may turn out to do so again, for a write
//! of another prefix.) `r` is no event of these prefixes, nor fixed. Of two reads of one thread
//! without a fixed event between them, more stays in the case of the later one, and the turn is taken from
//! their thread no more cheaply, unless it can be had for nothing between them: so the first one, and the
//! first one behind such a place, stand for all. A graph is left out if what stays needs more than `n` in each case.
//!
//! What is left is explored; the
//! executions that need more than `n` are seen at their ends, and not counted.

mod kept;
mod schedules;

use crate::graph::Graph;
use kept::Kept;
use schedules::Schedules;

/// Whether whatever is explored from a graph needs more preemptions than these.
pub(crate) fn is_beyond(graph: &Graph, most: u32) -> bool {
    let is_within = |part| Schedules::of_part(graph, &part).has_one_within(most);
    let kept = Kept::new(graph);
    !(is_within(kept.settled()) && (is_within(kept.all()) || kept.parts().any(is_within)))
}

/// Whether a complete graph has a schedule with at most so many preemptions.
pub(crate) fn is_within(graph: &Graph, most: u32) -> bool {
    Schedules::of_whole(graph).has_one_within(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Explore;
    use crate::options::Options;
    use crate::work_item::WorkItem;
    use racefuzz_oracle::{Sharing, generate, litmus, observed};
    use racefuzz_runtime::{Record, Runner};
    use racefuzz_trace::MemoryModel;

    /// How many graphs of a program are within the bound; what is beyond it is left out, or not.
    fn within(program: &dyn Fn(), memory: MemoryModel, most: u32, leaves_out: bool) -> Option<(u32, u32)> {
        let mut config = Options::default().fuzz().config(&Options::default().settings);
        config.memory = memory;
        let (mut explore, mut runner) = (Explore::new(memory), Runner::new(config));
        explore.preemptions = leaves_out.then_some(most);
        explore.later.push(WorkItem::root());
        let (mut found, mut all) = (0, 0);
        while explore.load_next() {
            runner.run(program, &mut explore, Record::Choices);
            if explore.is_trying() || all > 2_000 {
                return None;
            }
            if explore.is_consistent() {
                found += u32::from(is_within(&explore.graph, most));
                all += 1;
            } else {
                explore.forget();
            }
            explore.seal();
        }
        Some((found, all))
    }

    #[test]
    fn what_is_left_out_leads_nowhere_within_the_bound() {
        let (mut compared, mut seen, mut left_out) = (0, 0, 0);
        for program in litmus().into_iter().chain((0..300).map(generate)) {
            for memory in [MemoryModel::Sc, MemoryModel::Rc11] {
                let run = observed(&program, Sharing::Free, |_| {});
                for most in 0..3 {
                    let Some((expected, all)) = within(&run, memory, most, false) else { continue };
                    let Some((found, some)) = within(&run, memory, most, true) else {
                        panic!("ended before")
                    };
                    assert_eq!(found, expected, "{memory}, {most} preemptions: {program}");
                    compared += 1;
                    seen += some - found;
                    left_out += all - some;
                }
            }
        }
        assert!(compared > 1000 && left_out > 5000, "{compared} compared, {seen} seen, {left_out} left out");
    }
}
