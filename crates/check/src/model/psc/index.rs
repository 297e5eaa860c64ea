//! What the search for cycles looks up of each event, in tables that grow with the graph.

use crate::graph::{Graph, INIT, Id, Kind, NOWHERE};
use racefuzz_trace::MemoryOrder;

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Of a write its place in modification order, of a read that of the write it reads.
    place: Vec<u32>,
    /// The first of the events in a row, in program order, that access the location of this one.
    run: Vec<u32>,
    /// How many events of its thread there are up to the last SeqCst one that is not behind this one.
    seq_cst: Vec<u32>,
    /// The same for SeqCst fences.
    fence: Vec<u32>,
    /// The first of the reads of a write, and the next read of the same write.
    reader: Vec<Id>,
    next_reader: Vec<Id>,
    /// The first of the reads of each location's initial value.
    reader_of_initial: Vec<Id>,
    /// There are SeqCst fences.
    pub(super) has_fences: bool,
}

/// No event.
const NONE: Id = INIT;

impl Index {
    pub(super) fn len(&self) -> usize {
        self.place.len()
    }

    pub(super) fn clear(&mut self) {
        for table in [&mut self.place, &mut self.run, &mut self.seq_cst, &mut self.fence] {
            table.clear();
        }
        for table in [&mut self.reader, &mut self.next_reader, &mut self.reader_of_initial] {
            table.clear();
        }
        self.has_fences = false;
    }

    /// Takes in the events that were added to the graph.
    pub(super) fn grow(&mut self, graph: &Graph) {
        let known = self.len();
        let count = graph.events.len();
        for table in [&mut self.place, &mut self.run, &mut self.seq_cst, &mut self.fence] {
            table.resize(count, 0);
        }
        self.reader.resize(count, NONE);
        self.next_reader.resize(count, NONE);
        self.reader_of_initial.resize(graph.locs.len(), NONE);
        for loc in &graph.locs {
            for (at, write) in loc.mo.iter().enumerate().rev() {
                if (*write as usize) < known && known > 0 {
                    // What is new stands behind what was there.
                    break;
                }
                self.place[*write as usize] = at as u32 + 1;
            }
        }
        for id in known..count {
            self.add(graph, id as Id);
        }
    }

    fn add(&mut self, graph: &Graph, id: Id) {
        let at = id as usize;
        let event = graph.event(id);
        if event.kind == Kind::Read {
            let first = match event.rf {
                INIT => &mut self.reader_of_initial[event.loc as usize],
                write => {
                    self.place[at] = self.place[write as usize];
                    &mut self.reader[write as usize]
                }
            };
            self.next_reader[at] = std::mem::replace(first, id);
        }
        let before = match event.po {
            0 => None,
            po => Some(graph.threads[event.thread as usize][po as usize - 1]),
        };
        let goes_on = |before: &Id| event.loc != NOWHERE && graph.event(*before).loc == event.loc;
        self.run[at] = before.filter(goes_on).map_or(event.po, |before| self.run[before as usize]);
        let earlier = |table: &[u32]| before.map_or(0, |before| table[before as usize]);
        let (seq_cst, fence) = (earlier(&self.seq_cst), earlier(&self.fence));
        let is_seq_cst = event.order == MemoryOrder::SeqCst;
        self.seq_cst[at] = if is_seq_cst { event.po + 1 } else { seq_cst };
        let is_fence = event.kind == Kind::Fence;
        self.fence[at] = if is_fence { event.po + 1 } else { fence };
        self.has_fences |= is_fence;
    }

    /// The place in modification order of a write, or of what a read reads.
    pub(super) fn place(&self, id: Id) -> usize {
        self.place[id as usize] as usize
    }

    /// Of the first `count` events of a thread, how many there are up to the last SeqCst one.
    pub(super) fn seq_cst_among(&self, events: &[Id], count: usize) -> usize {
        count.checked_sub(1).map_or(0, |last| self.seq_cst[events[last] as usize] as usize)
    }

    /// The same for SeqCst fences.
    pub(super) fn fences_among(&self, events: &[Id], count: usize) -> usize {
        count.checked_sub(1).map_or(0, |last| self.fence[events[last] as usize] as usize)
    }

    /// Of the first `count` events of a thread, how many there are before the last ones in a row that
    /// are at one location.
    pub(super) fn before_run(&self, events: &[Id], count: usize) -> usize {
        count.checked_sub(1).map_or(0, |last| self.run[events[last] as usize] as usize)
    }

    /// The reads of the write at a place of a location.
    pub(super) fn readers(&self, graph: &Graph, loc: u32, place: usize) -> impl Iterator<Item = Id> + '_ {
        let first = match graph.write_at(loc, place) {
            INIT => self.reader_of_initial[loc as usize],
            write => self.reader[write as usize],
        };
        let some = |read: Id| (read != NONE).then_some(read);
        std::iter::successors(some(first), move |read| some(self.next_reader[*read as usize]))
    }
}
